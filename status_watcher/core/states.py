"""What each state of a box rests on, in one table, and what a turn that is open may be doing.

None of the evidence is trusted alone: `status` of the store lies in known ways (`core.verdict.store_ending`
lists them), a transcript may end without a final line, and lock files appear and vanish many times within one
turn (26 times in 2026.2.26, 176 in 2026.7.1), so that they are no evidence at all.
"""

from dataclasses import dataclass
from typing import Final

from status_watcher.model import State

OPEN_STATES: Final = frozenset({State.ACTIVE, State.WAITING, State.STALLED, State.RETRYING})
"""Those of a turn that has not ended."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What must be seen for a state to be shown, and what takes it away again."""

    state: State
    shown: str
    """What stands after the state, or "" for nothing."""
    transcript: str
    elsewhere: str
    """The store, another database, or the gateway's hook; "" where the transcript alone decides."""
    until: str


EVIDENCE: Final = (
    Evidence(
        State.ACTIVE,
        "thinking 41s",
        "the last line is a prompt or a tool's result, no call is open: the model has been asked",
        "before there is a transcript: the store says running",
        "the next line",
    ),
    Evidence(
        State.ACTIVE,
        "",
        "a call without a result, whose line tells for how long; or a compaction and no final line yet",
        "",
        "its result",
    ),
    Evidence(
        State.ACTIVE,
        "compacting 12s",
        "nothing newer, no open call and no final line; no version writes down that a compaction begins",
        "2026.9.6: the hook's note of session:compact:before, later than the last line (2026.7.1 fires none "
        "for what a run itself compacts)",
        "the next line, session:compact:after, the gateway's end, or 10 min",
    ),
    Evidence(
        State.WAITING,
        "for 2 sub-agents",
        "the turn's own final line, or the result of sessions_yield, and a sub-agent below without an end",
        "the sub-agent's entry in the store, where it has no transcript",
        "the last sub-agent's end, or a further line of the turn's own",
    ),
    Evidence(
        State.WAITING,
        "for approval 2m 03s",
        "2026.7.1: a result with status approval-pending; 2026.9.6: a call without a result",
        "2026.9.6: the row of operator_approvals with that call's id is pending",
        "2026.7.1: a later user line that names the approval's id, or expiresAtMs; 2026.9.6: the row's "
        "status, the call's result, or expires_at_ms",
    ),
    Evidence(
        State.STALLED,
        "thinking 6m 00s",
        "nothing new for longer than the patience for what is under way, here and in all sub-agents below",
        "2026.9.6: no new try of the model either (startedAt)",
        "any new line; what then proved to take so long is granted half as much again in this turn",
    ),
    Evidence(
        State.RETRYING,
        "try 1 failed",
        "an error line, for 12 s; or the repeated prompt after one (2026.7.1)",
        "2026.9.6: startedAt has moved since the last line, after a prompt twice (no line tells of tries)",
        "any other line of the model; without one, 12 s after the error",
    ),
    Evidence(
        State.DONE,
        "",
        "a final line (stop, length), or the result of sessions_yield, and nothing below that is unfinished",
        "without a final line: the store says done, later than the last line; or no sign of running for "
        "IDLE_TIMEOUT_S",
        "a sub-agent's answer that calls tools reopens it, and nothing else",
    ),
    Evidence(
        State.ERROR,
        "",
        "an error line and 12 s without another try; a prompt-error that is no abort",
        "without such a line: failed, after 12 s, if it was not the gateway's restart",
        "a further try",
    ),
    Evidence(
        State.ABORTED,
        "",
        "a line with stopReason aborted, openclawAbort, or a prompt-error that says so",
        "without such a line: the store says killed",
        "",
    ),
    Evidence(
        State.TIMEOUT,
        "",
        "older than MAX_SESSION_DURATION_S and quiet for IDLE_TIMEOUT_S, by our own clock",
        "the store says timeout, or a sub-agent's announcement",
        "a further line",
    ),
    Evidence(
        State.INTERRUPTED,
        "",
        "a new turn or a reset while a call had no result; a resumption after the gateway's restart",
        "failed with abortedLastRun (2026.7.1); transcript and entry are gone; our own stop",
        "our own stop: our next start",
    ),
)


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model has been asked and has not answered."""

    since_ms: int


@dataclass(frozen=True, slots=True)
class Compacting:
    """The session is being compacted, by the gateway's own word."""

    since_ms: int


@dataclass(frozen=True, slots=True)
class UsingTool:
    """A call runs; of several the one that has been running longest."""

    since_ms: int
    label: str


@dataclass(frozen=True, slots=True)
class ForChildren:
    """Its own run is over, so many sub-agents right below it are not."""

    count: int


@dataclass(frozen=True, slots=True)
class ForApproval:
    """A person has to allow commands, the first of them since then."""

    since_ms: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """The model's provider refused or failed; `failed`: the try that is named, else it is under way."""

    tries: int
    failed: bool


Doing = Thinking | Compacting | UsingTool | ForChildren | ForApproval | Retrying
