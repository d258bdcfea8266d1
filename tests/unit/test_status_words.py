"""What `status` says in words."""

import pytest

from status_watcher.core.health import Circuit, Health, Sessions, Watch
from status_watcher.edge.lock import Holder, LockRecord
from status_watcher.status_command import in_words

RECORD = LockRecord(pid=7, port=9090, host="127.0.0.1", ready=True, started_at=0.0, pid_namespace="")


@pytest.mark.parametrize(
    ("active", "tracked", "line"),
    [
        (0, 0, "ok: 0 boxes open, 0 waiting, 0 sessions followed, circuit half-open"),
        (1, 1, "ok: 1 box open, 0 waiting, 1 session followed, circuit half-open"),
        (2, 1_200, "ok: 2 boxes open, 0 waiting, 1,200 sessions followed, circuit half-open"),
    ],
)
def test_one_of_a_thing_is_not_many(active, tracked, line):
    health = Health(
        status="ok",
        version="1",
        pid=7,
        uptime_s=61.0,
        sessions=Sessions(active, tracked, 0),
        circuit=Circuit("half_open", 1),
        watch=Watch("inotify", alive=True),
        mattermost_last_ok_s=None,
        counters={"creates": 1, "edits": 1, "edits_saved": 3, "bytes_written": 1_500_000},
    )
    first, second, cost = in_words(Holder(RECORD), health)
    assert first == "running (PID 7), up 1 min 1 s"
    assert second == line
    assert cost == "1 post and 1 edit written (1.5 MB), 3 edits saved (0.0 kB)"
