"""What `status-watcher stuck` calls stuck, and how it says so."""

from dataclasses import replace

import orjson
import pytest

from status_watcher import stuck_command
from status_watcher.core.session_report import SessionReport
from status_watcher.core.states import OPEN_STATES
from status_watcher.exit_codes import ExitCode
from status_watcher.model import State

REPORT = SessionReport(
    key="agent:main:cron:nightly",
    label="nightly",
    agent="main",
    kind="cron",
    state="STALLED",
    age_s=1500,
    idle_s=960,
    model="scripted",
    tokens=1200,
    post="https://chat.example.org/_redirect/pl/x",
)


def test_nothing_stuck_is_silence():
    quick = replace(REPORT, state="ACTIVE", idle_s=899.9)
    answer = stuck_command.answer([quick], 15, as_json=False)
    assert (answer.code, answer.lines, answer.complaints) == (ExitCode.OK, (), ())
    assert stuck_command.answer([], 15, as_json=True).lines == ()


@pytest.mark.parametrize("state", list(State))
def test_only_open_turns_are_stuck(state):
    found = stuck_command.stuck([replace(REPORT, state=state.value)], 900)
    assert bool(found) == (state in OPEN_STATES)


def test_the_quietest_comes_first():
    reports = [replace(REPORT, idle_s=idle_s) for idle_s in (900, 2000, 1000)]
    assert [report.idle_s for report in stuck_command.stuck(reports, 900)] == [2000, 1000, 900]


def test_a_line_tells_what_and_since_when_and_where():
    answer = stuck_command.answer([REPORT], 15, as_json=False)
    assert answer.code == ExitCode.FAILED
    (line,) = answer.lines
    assert line == (
        "[STALLED] nightly | quiet for 16m 00s | began 25m 00s ago | agent:main:cron:nightly"
        " | https://chat.example.org/_redirect/pl/x"
    )


def test_a_private_turn_has_no_name():
    private = replace(REPORT, kind="dm", key="", label="", post="", redacted=True)
    (line,) = stuck_command.answer([private], 15, as_json=False).lines
    assert line == "[STALLED] (dm, private) | quiet for 16m 00s | began 25m 00s ago"


def test_scripts_get_one_list():
    answer = stuck_command.answer([REPORT, replace(REPORT, idle_s=10)], 15, as_json=True)
    (document,) = map(orjson.loads, answer.lines)
    assert [(row["key"], row["idle_s"], row["state"]) for row in document] == [
        ("agent:main:cron:nightly", 960, "STALLED")
    ]
