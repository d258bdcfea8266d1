"""A turn as its transcript tells it: runs of the model, what was said, each tool call and what came of it.

These are the fold's accumulators, owned and changed by `core.session` alone; everybody else reads them.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from status_watcher.core.labels import ToolText
from status_watcher.core.prompts import SILENT_REPLIES, Announcement
from status_watcher.core.results import Result
from status_watcher.model import EntryId, SessionKey, ToolCallId

MOST_ITEMS = 400
"""Items that a run keeps; older answered ones are dropped and counted. Far more than a box shows."""


class Ending(Enum):
    """How a run of the model ended, by its own last line."""

    DONE = auto()
    ERROR = auto()
    ABORTED = auto()
    INTERRUPTED = auto()
    TIMEOUT = auto()


class Last(Enum):
    """What kind of line a run ended with so far; the first three are signs that the agent is running."""

    PROMPT = auto()
    CALL = auto()
    RESULT = auto()
    TEXT = auto()


class Nature(Enum):
    """Why a turn exists, which decides whether it is worth a box."""

    WORK = auto()
    HEARTBEAT = auto()
    MEMORY_FLUSH = auto()
    COMMAND = auto()
    """A command that the gateway itself answered, such as /new; no model was asked."""


@dataclass(slots=True)
class Remark:
    """What the agent said between tool calls."""

    at_ms: int
    text: str


@dataclass(slots=True)
class Compaction:
    at_ms: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's word that a command waits for, asked after in a result (2026.7.1)."""

    id: str
    expires_ms: int


@dataclass(slots=True)
class Call:
    """One tool call; `result` is None until its result line came."""

    id: ToolCallId
    at_ms: int
    tool: str
    text: ToolText
    result: Result | None = None
    code: str = ""
    ended_at_ms: int = 0
    duration_ms: int | None = None
    child: SessionKey | None = None
    child_label: str = ""
    approval: Approval | None = None
    """What it waits for if its result is `APPROVAL_PENDING`."""
    wraps: bool = False
    """It stands for another tool (2026.9.6), whose own record has not come yet."""


Item = Remark | Compaction | Call


@dataclass(slots=True)
class Run:
    """One stretch of the model's work: the first one answers the prompt, later ones a child's completion."""

    start_ms: int
    model_start_ms: int
    """When the model was asked: what had happened by then it may have been told."""
    items: list[Item] = field(default_factory=list)
    dropped: int = 0
    most_items: int = MOST_ITEMS
    last: Last = Last.PROMPT
    last_ms: int = 0
    open_calls: dict[ToolCallId, Call] = field(default_factory=dict)
    spawned: list[Call] = field(default_factory=list)
    """The calls that started a sub-agent, in order."""
    ending: Ending | None = None
    ending_ms: int = 0
    ending_text: str = ""
    """The last words: what was answered, or the error's own words."""
    assumed: bool = False
    """The ending is not the model's own word: the store's, the gateway's, or because a later turn began."""
    yielded: bool = False
    """It ended by `sessions_yield` (2026.7.1): the agent waits for something, and there is no final line."""
    tries: int = 1
    retrying: bool = False
    """The last word of the model was an error, and it is asked again."""
    unapproved: list[Call] = field(default_factory=list)
    """Calls whose result is that a person has to allow them first."""
    answered_ms: int = 0
    """When the last of those was allowed or refused."""
    asked_ms: int = 0
    """When what the model answered last had been written, and what that was."""
    asked_after: Last = Last.PROMPT
    slowest_model_ms: int = 0
    """The longest that the model took for one answer."""
    slowest_calls_ms: dict[str, int] = field(default_factory=dict)
    """The longest that each tool took, by its name."""
    has_calls: bool = False
    failed_calls: int = 0
    seen_ms: int = 0
    """When its first line arrived."""
    tokens: int = 0
    cost_usd: float = 0.0
    model: str = ""
    """That of its newest line, as the provider names it; "" before the first."""

    def add(self, item: Item) -> None:
        self.items.append(item)
        if len(self.items) > self.most_items:
            keep = MOST_ITEMS // 2
            old, recent = self.items[:-keep], self.items[-keep:]
            kept = [i for i in old if isinstance(i, Call) and (i.result is None or i.child is not None)]
            self.dropped += len(old) - len(kept)
            self.items = kept + recent
            # However many calls are open, the next look at all of them is as far away again.
            self.most_items = max(MOST_ITEMS, 2 * len(self.items))

    def end(self, ending: Ending, at_ms: int, *, assumed: bool = False) -> None:
        self.ending, self.ending_ms, self.assumed = ending, at_ms, assumed

    def reopen(self) -> None:
        self.ending, self.ending_text, self.assumed = None, "", False

    @property
    def silent(self) -> bool:
        """The answer is one that means: say nothing."""
        return self.ending is Ending.DONE and self.ending_text.strip().upper() in SILENT_REPLIES


@dataclass(frozen=True, slots=True)
class Announced:
    """The gateway's word in the parent's transcript that a child has ended."""

    at_ms: int
    report: Announcement


@dataclass(slots=True)
class Turn:
    """One turn of one session; `id` is that of the line that began it and survives rewrites of the file."""

    id: EntryId
    start_ms: int
    nature: Nature = Nature.WORK
    prompt_text: str = ""
    runs: list[Run] = field(default_factory=list)
    seen_ms: int = 0
    """When the newest line of it was written, or arrived if that is known: quiet is counted from here."""
    ahead_ms: int = 0
    """How far the gateway's clock is ahead of ours, as its newest line had it: ours stands still while a
    machine sleeps.
    """
    announced: list[Announced] = field(default_factory=list)
    head_missing: bool = False
    prompted: bool = True
    """False: it has no user line, but was begun by an announcement or a wake-up."""
    thread_root: str = ""
    """Root of the Mattermost thread that its prompt opened or stood in; "" where nothing tells."""
    departed: bool = False
    """The session went back to before it (a rewind in 2026.9.6): no further line is about it."""
    revision: int = 0
    """Counts what a box could show; equal revisions render alike but for time."""

    @property
    def run(self) -> Run:
        return self.runs[-1]

    @property
    def has_calls(self) -> bool:
        return any(run.has_calls for run in self.runs)

    @property
    def spawned(self) -> list[Call]:
        return [call for run in self.runs for call in run.spawned]
