"""The same session, of 2026.7.1 files and of 2026.9.6 rows, has the same box but for what really differs.

Both gateways were driven by the same script. Left out of the comparison are clock times, tokens (9.6 sends
the model more) and the ids of channels and posts; every other difference is listed here with its reason, and
a listed one that is not there any more fails too.
"""

import re
from collections import Counter
from dataclasses import replace

import captures
import pytest
import simulate
from recorded_rows import DatabaseCapture, EventRow

from status_watcher.core.render import Limits

FILES, ROWS = "2026.7.1", "2026.9.6"
_DURATION = re.compile(r"(?<=[|\]g] )(?:\d+h \d\dm|\d+m \d\ds|\d+s)(?= \||$)", re.MULTILINE)
_TOKENS = re.compile(r"[\d.]+k? tokens$", re.MULTILINE)

SETTLED = (
    "> All helpers have reported; summary: child-report: A finished with 2 commands. "
    "child-report: B finished, one command failed."
)
DIFFERENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "simple-turn": {},
    "new-command": {},
    "mm-thread-tools": {},
    "tools": {
        # The model's edit has both forms of arguments: 7.1 refuses it as invalid, 9.6 makes the edit.
        "-": ("> edit: `notes.txt` [ERR]",),
        "+": ("> edit: `notes.txt` [OK]",),
    },
    "subagents-two": {
        # 9.6 wakes the parent once more when all children have settled; 7.1 does not.
        "+": (SETTLED,),
    },
    "cron-isolated": {
        # The label of a job's session is another.
        "-": ("[DONE] Cron: rig job | <time>",),
        "+": ("[DONE] Automation: rig job | <time>",),
    },
    "abort-tool": {
        # 7.1 writes the killed command's result, 9.6 never does.
        "-": ("> exec: `sleep 25; echo finished` [ERR SIGTERM] <time>",),
        "+": ("> exec: `sleep 25; echo finished` no result",),
    },
    "compact-command": {
        # 7.1 compacted by itself at the fifth turn, whose box tells it; 9.6 only when told to, between turns.
        "-": ("> [session compacted - continuing]",),
    },
    # 7.1 answers at once that an approval is pending and goes on; 9.6 waits for it within the call.
    "approval-wait": {},
    "mm-private-spawn": {
        # A write without effect ends a run of 7.1 as failed; in 9.6 it succeeds and the child goes on.
        "-": ("> > [ERROR] <time>", "> A child reported back: no report"),
        "+": (
            "> > read: `b.txt` [OK]",
            "> > exec: `sleep 3; false` [ERR 1] <time>",
            "> > child-report: B finished, one command failed.",
            "> > [DONE] <time>",
            "> A child reported back: child-report: B finished, one command failed.",
            SETTLED,
        ),
    },
    "mm-channel": {
        # The same write without effect, in the parent: 7.1 leaves its turn without an end.
        "-": ("[ACTIVE] main | <time> | thinking <time>",),
        "+": (
            "[DONE] main | <time>",
            "> read: `notes.txt` [OK]",
            "> exec: `wc -l notes.txt` [OK]",
            "> Now one that fails.",
            "> exec: `ls /nonexistent-dir && true` [ERR 2]",
            "> read: `missing-file.txt` [ERR]",
            "> edit: `notes.txt` [OK]",
            "> All steps ran: one command, one write, two reads, one edit, two failures.",
            "",
            "[DONE] <time> | <tokens>",
        ),
    },
}


def boxes(name: str) -> list[tuple[str, bool]]:
    """Texts in order, without what must differ; and whether each is in a thread. No line is dropped."""
    played = simulate.play(captures.load(name), limits=Limits(200, 15_000))
    found = []
    for box in played.final.values():
        text = _TOKENS.sub("<tokens>", _DURATION.sub("<time>", box.text))
        found.append((text, bool(getattr(box.target, "root_id", ""))))
    return found


def only_in(lines: list[str], others: list[str]) -> list[str]:
    return list((Counter(lines) - Counter(others)).elements())


@pytest.mark.parametrize("scenario", DIFFERENCES)
def test_files_and_rows_of_the_same_session_have_the_same_boxes(scenario):
    of_files, of_rows = boxes(f"{FILES}/{scenario}"), boxes(f"{ROWS}/{scenario}")
    assert [in_thread for _, in_thread in of_files] == [in_thread for _, in_thread in of_rows]
    gone: list[str] = []
    come: list[str] = []
    for (before, _), (after, _) in zip(of_files, of_rows, strict=True):
        gone += only_in(before.splitlines(), after.splitlines())
        come += only_in(after.splitlines(), before.splitlines())
    expected = DIFFERENCES[scenario]
    assert (sorted(gone), sorted(come)) == (sorted(expected.get("-", ())), sorted(expected.get("+", ())))


def test_common_lines_stand_in_the_same_order():
    for scenario in ("subagents-two", "mm-thread-tools", "tools"):
        of_files, of_rows = boxes(f"{FILES}/{scenario}"), boxes(f"{ROWS}/{scenario}")
        for (before, _), (after, _) in zip(of_files, of_rows, strict=True):
            files, rows = before.splitlines(), after.splitlines()
            common = [line for line in files if line in rows]
            assert common == [line for line in rows if line in files], scenario


def test_a_spawn_through_tool_call_reads_as_a_direct_one():
    [(indirect, _)], [(direct, _)] = boxes(f"{ROWS}/subagents-indirect"), boxes(f"{FILES}/subagents-two")

    def child(text: str) -> str:
        return text[text.index("> Sub-agent: helper-a") :].partition("\n>\n")[0]

    assert child(indirect) == child(direct)


@pytest.mark.parametrize("call", [0, 1])
def test_a_command_is_not_ok_while_its_approval_is_pending(call):
    capture = captures.load(f"{ROWS}/approval-wait")
    assert isinstance(capture, DatabaseCapture)
    results = [
        row
        for row in capture.rows
        if isinstance(row, EventRow) and row.event.get("message", {}).get("role") == "toolResult"
    ]
    until = capture.rows.index(results[call])
    played = simulate.play(replace(capture, rows=capture.rows[:until]))
    [box] = played.final.values()
    assert box.text.startswith("[ACTIVE]")
    assert box.text.count("[OK]") == call
