"""What is remembered of sessions that the store has no more."""

from builders import T0, entry, store

from status_watcher.core.elsewhere import Elsewhere
from status_watcher.core.skew import NONE


def test_runs_of_a_cron_job_leave_nothing_behind_once_the_store_has_dropped_them():
    elsewhere = Elsewhere()
    for number in range(100):
        key = f"agent:main:cron:nightly:run:{number}"
        for told in (
            {key: entry(f"s{number}", status="running", startedAt=T0 + number)},
            {key: entry(f"s{number}", status="done")},
            {},
        ):
            elsewhere.note_starts(store(told), NONE)
    assert (elsewhere._starts, elsewhere._over) == ({}, set())


def test_run_that_vanishes_from_the_store_while_it_runs_is_dropped_at_the_next_look():
    elsewhere, empty = Elsewhere(), store({})
    for number in range(100):
        running = {f"agent:main:cron:nightly:run:{number}": entry(status="running", startedAt=T0)}
        for told in (store(running), empty, empty):
            elsewhere.note_starts(told, NONE)
    assert (elsewhere._starts, elsewhere._over, elsewhere._vanished) == ({}, set(), {})


def test_a_run_that_is_missing_from_one_look_keeps_its_start():
    elsewhere = Elsewhere()
    running = {"agent:main:main": entry(status="running", startedAt=T0)}
    for told in (running, {}, running):
        elsewhere.note_starts(store(told), NONE)
    assert list(elsewhere._starts["agent:main:main"]) == [T0]
