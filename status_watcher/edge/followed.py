"""One transcript that is followed: looks at the file become news of its session."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, assert_never

from status_watcher.core.cursor import Stamp, Verdict
from status_watcher.core.filenames import Archive
from status_watcher.edge.intervals import ACTIVE_S, GONE_S
from status_watcher.edge.jobs import Job
from status_watcher.edge.lookout import Shared, StoreCounters
from status_watcher.edge.tail import Absent, Batch, Opener, Refused, Shrunk, Tail
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Lines, Reading, TranscriptGone

SETTLE_S: Final = 0.03
"""How long a file that shrank has to stay as it is: 2026.7.1 rewrites in place, in steps of milliseconds."""
_SETTLE_AT_MOST_S: Final = 0.3


@dataclass(slots=True)
class Counters(StoreCounters):
    """What happened since the start; each is a fault or a mechanism that nobody would see otherwise."""

    lines: int = 0
    overlong_lines: int = 0
    nul_bytes: int = 0
    refused_reads: int = 0
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    rewrites_in_progress: int = 0
    """Files that had shrunk when looked at, most of them for a few milliseconds."""
    unreadable_index_looks: int = 0
    missing_index_looks: int = 0
    """At agents that have not had an index yet; one that was lost is unreadable."""


FileShared = Shared[Counters]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transcript asks of the directory it lies in."""

    indexed_id: Callable[[str], SessionId | None]
    """The session that the index says a file of this name holds."""
    absent: Callable[[], None]
    """The file is not under its name: somebody should look where it went."""
    conclusive: Callable[[], bool]
    """Whether a missing file says anything: not while the directory itself cannot be read."""
    refused: Callable[[str, str | None], None]
    """Why the file of this name cannot be read; None once it can."""
    ended: Callable[[str], None]
    """Nothing more will come from the file of this name."""
    followed_elsewhere: Callable[[SessionId], bool]
    """Whether another directory of the agent has a transcript of this session: it is not missing then."""


@dataclass(frozen=True, slots=True)
class _Shrinkage:
    """A file seen shorter than before: since when, and since when as it is now."""

    since_s: float
    unchanged_s: float
    stamp: Stamp


class Followed:
    """Reads a transcript on whenever it is asked to, until it is archived or has been away for a while."""

    def __init__(
        self,
        shared: FileShared,
        surroundings: Surroundings,
        opener: Opener,
        *,
        agent: AgentId,
        directory: str,
        name: str,
        claimed_id: SessionId,
        archive: Archive | None = None,
    ) -> None:
        """`claimed_id` is what the name says; `archive` is set if the file is one already."""
        self.name = name
        self.job = Job(self._step)
        self.stamp: Stamp | None = None
        self._shared = shared
        self._surroundings = surroundings
        self._agent = agent
        self._directory = directory
        self._path = f"{directory}/{name}"
        self._claimed_id = claimed_id
        self._session_id: SessionId | None = None
        self._filed_as: SessionId | None = None
        self._tail = Tail(self._path, opener)
        self._archive = archive
        self._changed_s = shared.clock()
        self._shrunk: _Shrinkage | None = None
        self._absent_s: float | None = None
        self._refused: str | None = None
        self._accept_tail = False
        self._tail_offered: Stamp | None = None
        self._owes_end = False
        self._over = False

    @property
    def path(self) -> str:
        return self._path

    @property
    def session_id(self) -> SessionId | None:
        """Whose lines were handed over, if any were."""
        return self._session_id

    def holds(self, session_id: SessionId) -> bool:
        """Whether it is this session's, as far as is known."""
        return session_id == (self._session_id or self._claimed_id)

    @property
    def archived(self) -> bool:
        return self._archive is not None

    @property
    def settling(self) -> bool:
        """Whether a rewrite is being waited for."""
        return self._shrunk is not None

    @property
    def active(self) -> bool:
        """Whether it is worth a look at every sweep."""
        return self._absent_s is not None or self._refused is not None or self._quiet_s() < ACTIVE_S

    def ask(self) -> None:
        """Something may have changed."""
        self._shared.jobs.ask(self.job)

    def put_away(self, name: str, archive: Archive) -> None:
        """It has been renamed: what is unread is read from there, and then it ends."""
        self._archive = archive
        self._path = f"{self._directory}/{name}"
        self.ask()

    def offer_tail(self) -> None:
        """The file has been quiet: an unterminated last line counts if it is whole."""
        if self._tail.torn and self._tail_offered != self.stamp:
            self._tail_offered = self.stamp
            self._accept_tail = True
            self.ask()

    async def _step(self) -> bool:
        if self._over:
            return False
        archive = self._archive
        self._tail.path = self._path
        accept_tail, self._accept_tail = self._accept_tail or archive is not None, False
        shrunk, patient, settled = self._shrunk, archive is None, None
        if shrunk is not None:
            patient = patient and self._elapsed_s(shrunk.since_s) < _SETTLE_AT_MOST_S
            settled = shrunk.stamp if self._elapsed_s(shrunk.unchanged_s) >= SETTLE_S else None
        look = await self._shared.readers.run(
            partial(self._tail.look, patient=patient, settled=settled, accept_tail=accept_tail)
        )
        match look:
            case Batch():
                return self._take(look, archive)
            case Shrunk(stamp):
                self._await_rewrite(stamp)
            case Absent():
                self._shared.counters.verdicts[Verdict.GONE] += 1
                self._shrunk = None
                self._miss(archive)
            case Refused():
                self._shared.counters.refused_reads += 1
                self._shrunk = None
                self._set_refused(look.reason)
                if look.for_good:
                    self._leave()
            case _:
                assert_never(look)
        self._hand_over((), Reading.MORE, more=False)
        return False

    def _take(self, batch: Batch, archive: Archive | None) -> bool:
        counters = self._shared.counters
        counters.verdicts[batch.verdict] += 1
        counters.lines += len(batch.lines)
        counters.overlong_lines += batch.overlong_lines
        counters.nul_bytes += batch.nul_bytes
        if batch.stamp != self.stamp:
            self._changed_s = self._shared.clock()
        self.stamp = batch.stamp
        self._absent_s = self._shrunk = None
        self._set_refused(None)
        reading = batch.reading
        if batch.lines and reading is not Reading.MORE:
            reading = self._identify(batch)
        self._hand_over(batch.lines, reading, more=batch.more, head_skipped=batch.head_skipped)
        if batch.more:
            return True
        if archive is not None:
            self._end(archive.how)
        return False

    def _identify(self, batch: Batch) -> Reading:
        """Whose lines these are. Another header than before: another session took the file's name."""
        before = self._session_id
        indexed_id = self._surroundings.indexed_id(self.name)
        if before is None or (batch.header_id is not None and batch.header_id != before):
            self._session_id = batch.header_id or before or indexed_id or self._claimed_id
        self._filed_as = indexed_id or self._claimed_id
        if before is None or self._session_id == before:
            return batch.reading
        if not self._surroundings.followed_elsewhere(before):
            self._shared.sink(TranscriptGone(self._agent, before, "missing"))
        return Reading.FIRST

    def _hand_over(
        self, lines: tuple[bytes, ...], reading: Reading, *, more: bool, head_skipped: bool = False
    ) -> None:
        # Whoever was told that more follows is told when nothing does, be it with an empty batch.
        if self._session_id is not None and (lines or (self._owes_end and not more)):
            self._owes_end = more
            self._shared.sink(
                Lines(
                    self._agent,
                    self._session_id,
                    lines,
                    reading,
                    head_skipped=head_skipped,
                    more_follows=more,
                    filed_as=self._filed_as if self._filed_as != self._session_id else None,
                )
            )

    def _await_rewrite(self, stamp: Stamp) -> None:
        now_s = self._shared.clock()
        if self._shrunk is None:
            self._shared.counters.rewrites_in_progress += 1
            self._shrunk = _Shrinkage(now_s, now_s, stamp)
        elif stamp != self._shrunk.stamp:
            self._shrunk = _Shrinkage(self._shrunk.since_s, now_s, stamp)
        self._shared.later(SETTLE_S, self.job)

    def _miss(self, archive: Archive | None) -> None:
        if archive is not None:
            self._end(archive.how)
        elif self._absent_s is None or not self._surroundings.conclusive():
            self._absent_s = self._shared.clock()
            self._surroundings.absent()
        elif self._archive is None and self._elapsed_s(self._absent_s) >= GONE_S:
            self._end("missing")

    def _set_refused(self, reason: str | None) -> None:
        if reason != self._refused:
            self._refused = reason
            self._surroundings.refused(self.name, reason)

    def _end(self, how: Literal["reset", "deleted", "missing"]) -> None:
        session_id = self._session_id
        if session_id is not None:
            self._hand_over((), Reading.MORE, more=False)
        elif how != "missing":  # archived without a line in it
            session_id = self._surroundings.indexed_id(self.name) or self._claimed_id
        here = how != "missing" or session_id is None
        if session_id is not None and (here or not self._surroundings.followed_elsewhere(session_id)):
            at_ms = self._archive.at_ms if self._archive is not None else 0
            self._shared.sink(TranscriptGone(self._agent, session_id, how, at_ms))
        self._leave()

    def _leave(self) -> None:
        self._over = True
        self._surroundings.ended(self.name)

    def _quiet_s(self) -> float:
        return self._elapsed_s(self._changed_s)

    def _elapsed_s(self, since_s: float) -> float:
        return self._shared.clock() - since_s
