"""What kind of message a user line is: a person's, a wake-up, noise, or a sub-agent's report.

The texts are those of OpenClaw 2026.2.26, 2026.3.31, 2026.7.1 and 2026.9.6, whose transcripts mark very
little of this by fields.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from status_watcher.model import SessionId, SessionKey

SILENT_REPLIES = frozenset({"NO_REPLY", "HEARTBEAT_OK", "ANNOUNCE_SKIP", "REPLY_SKIP"})
"""A whole answer that means: say nothing."""


class Prompt(Enum):
    VISIBLE = auto()
    """From a person, a scheduler or a parent agent."""
    WAKE = auto()
    """Made by the gateway so that the agent goes on, e.g. after a background command ended."""
    RESUMED = auto()
    """The gateway was restarted and makes the agent go on with what was cut off (2026.9.6)."""
    ANNOUNCEMENT = auto()
    """A sub-agent's completion, reported to its requester."""
    HEARTBEAT = auto()
    MEMORY_FLUSH = auto()
    HIDDEN = auto()
    """Context for the model that starts nothing."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Which child ended, as far as the text says, and how."""

    session_id: SessionId | None
    key: SessionKey | None
    label: str
    outcome: Literal["done", "failed", "timeout"] | None


@dataclass(frozen=True, slots=True)
class Classified:
    kind: Prompt
    text: str
    """Without the stamps that differ between two tries of the same message."""
    announcement: Announcement | None = None


_STAMP = re.compile(r"^\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d [^\]\n]{1,40}\] ?")
_SYSTEM_LINE = re.compile(r"^System: \[")
_FENCED_META = re.compile(
    r"^(?:Conversation info|Sender|Thread starter|Replied message|Forwarded message context"
    r"|Chat history since last reply) \(untrusted[^\n]*\):\n```json\n.*?\n```\n*",
    re.DOTALL,
)
_CHILD_SESSION = re.compile(r"(?:\[sessionId: |^session_id: )([^\]\s]+)", re.MULTILINE)
_CHILD_TASK = re.compile(r'[Ss]ub-?agent task "(.*)" (.+)')
_CHILD_KEY = re.compile(r"^session_key: (\S+)", re.MULTILINE)
_EVENT = re.compile(r"\[Internal task completion event\]\n(?:.+\n)*?status: .+")
_CHILD_STATUS = re.compile(r"^status: (.+)$", re.MULTILINE)

# At the start of a line: people may quote it.
_HEARTBEAT = re.compile(r"^(?:\[OpenClaw heartbeat poll\]|Read HEARTBEAT\.md if it exists)", re.MULTILINE)
_FLUSH = "Pre-compaction memory flush"
_INTERNAL = ("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>", "OpenClaw runtime context (internal):")
_WAKES = (
    "System: ",
    "[System Message]",
    "An async command ",
    "[OpenClaw exec completion]",
    "[OpenClaw cron wake]",
    "[OpenClaw session event]",
)
_RESUMES = "main_session_restart_recovery"


def classify_prompt(text: str, *, hidden: bool, source_tool: str, source_key: str) -> Classified:
    """The kind of a user line's text.

    `source_tool` and `source_key` are its provenance, "" where there is none.
    """
    bare = strip_padding(text)
    if source_tool == "heartbeat":
        return Classified(Prompt.HEARTBEAT, bare)
    if source_tool == _RESUMES:
        return Classified(Prompt.RESUMED, bare)
    if source_tool == "subagent_settle":  # every child was announced before
        return Classified(Prompt.HIDDEN, bare)
    if source_tool == "subagent_announce" or bare.startswith("[System Message] [sessionId:"):
        return Classified(Prompt.ANNOUNCEMENT, bare, _announcement(bare, source_key))
    if bare.startswith(_INTERNAL):
        if "[Internal task completion event]" in bare:
            return Classified(Prompt.ANNOUNCEMENT, bare, _announcement(bare, source_key))
        return Classified(Prompt.HIDDEN, bare)
    if _HEARTBEAT.search(bare):
        return Classified(Prompt.HEARTBEAT, bare)
    if bare.startswith(_FLUSH):
        return Classified(Prompt.MEMORY_FLUSH, bare)
    if hidden:
        return Classified(Prompt.HIDDEN, bare)
    if not bare or bare.startswith(_WAKES):
        return Classified(Prompt.WAKE, bare or text)
    return Classified(Prompt.VISIBLE, bare)


def strip_padding(text: str) -> str:
    """A channel message without what 2026.2 and 2026.3 wrap around it: system lines, metadata, the time
    stamp.

    A text made of system lines alone stays as it is.
    """
    rest = text.lstrip()
    while True:
        before = rest
        if _SYSTEM_LINE.match(rest):
            _, _, after = rest.partition("\n")
            if not after.strip():
                return rest
            rest = after.lstrip()
        rest = _FENCED_META.sub("", rest, count=1).lstrip()
        rest = _STAMP.sub("", rest, count=1)
        if rest == before:
            return rest


def _announcement(text: str, source_key: str) -> Announcement:
    # The child's own words come after its status, or after this line.
    event = _EVENT.search(text)
    head = event.group() if event else text.partition("\nResult")[0]
    session = _CHILD_SESSION.search(head)
    task = _CHILD_TASK.search(head)
    named = _CHILD_KEY.search(head)
    key = source_key or (named.group(1) if named else "")
    status = _CHILD_STATUS.search(head)
    # The task's name is not asked: it may hold any word.
    said = status.group(1) if status else task.group(2) if task else ""
    return Announcement(
        SessionId(session.group(1)) if session else None,
        SessionKey(key) if key else None,
        task.group(1) if task else "",
        _outcome(said.lower()),
    )


def _outcome(said: str) -> Literal["done", "failed", "timeout"] | None:
    if "timed out" in said or "timeout" in said:
        return "timeout"
    if "failed" in said or "error" in said:
        return "failed"
    if "complete" in said or "success" in said or "done" in said or "finished" in said:
        return "done"
    return None
