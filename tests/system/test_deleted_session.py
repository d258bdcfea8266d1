"""A session of a database that was deleted while the daemon was down, or at once with its last line."""

import json
import time

import pytest
import zstandard
from daemon import Daemon, box_says, eventually
from databases import DatabaseWriter
from gateway import Gateway, Session
from recorded_rows import EventRow, NodeRow

from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 15.0
STAMP = "2026-11-21T17-27-52.620Z.e0d938a7a59b45b0926857ef56b3aa65"


class Stored:
    """A session whose lines are committed as rows; nobody watches the file that they are taken from."""

    def __init__(self, daemon: Daemon, session: Session):
        self.session = session
        self.writer = DatabaseWriter(daemon.openclaw)
        self.archives = daemon.sessions_dir
        self.seq = 0

    def commit(self):
        now_ms = time.time_ns() // 1_000_000
        entry = {"sessionId": self.session.id, "updatedAt": now_ms, "status": "running"}
        events = [json.loads(line) for line in self.session.path.read_bytes().splitlines()]
        rows = [EventRow(0, self.session.id, seq, now_ms, event) for seq, event in enumerate(events)]
        node = NodeRow(0, self.session.key, self.session.id, entry, now_ms, "running")
        self.writer.commit(node, *rows[self.seq :])
        self.seq = len(rows)

    def delete(self):
        """What the file holds is archived, also what was never committed."""
        packed = zstandard.compress(self.session.path.read_bytes())
        (self.archives / f"{self.session.id}.jsonl.deleted.{STAMP}.zst").write_bytes(packed)
        self.writer.delete(self.session.key)


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
async def test_a_session_deleted_while_the_daemon_is_down_has_its_real_outcome(
    make_daemon, sandbox: Sandbox, tmp_path, ending
):
    daemon = await make_daemon()
    stored = Stored(daemon, Gateway(tmp_path / "aside").session(sandbox.channel.id))
    call = stored.session.begin(command="make release")
    stored.commit()
    await daemon.start()
    post = await eventually(box_says(sandbox, "ACTIVE", "make release"), SHOWN_WITHIN_S)
    await (daemon.stop() if ending == "SIGTERM" else daemon.kill())
    stored.session.result(call)
    stored.session.answer("Released while nobody looked.")
    stored.commit()
    stored.delete()
    await daemon.start()
    done = await eventually(box_says(sandbox, "DONE", "[OK]", "Released while nobody looked"), SHOWN_WITHIN_S)
    assert done.id == post.id
    stored.writer.close()


async def test_a_session_deleted_at_once_with_its_last_line_has_its_real_outcome(
    make_daemon, sandbox: Sandbox, tmp_path
):
    daemon = await make_daemon()
    stored = Stored(daemon, Gateway(tmp_path / "aside").session(sandbox.channel.id))
    call = stored.session.begin(command="make release")
    stored.commit()
    await daemon.start()
    post = await eventually(box_says(sandbox, "ACTIVE", "make release"), SHOWN_WITHIN_S)
    stored.session.result(call)
    stored.session.answer("Released and forgotten.")
    stored.delete()
    done = await eventually(box_says(sandbox, "DONE", "[OK]", "Released and forgotten"), SHOWN_WITHIN_S)
    assert done.id == post.id
    stored.writer.close()
