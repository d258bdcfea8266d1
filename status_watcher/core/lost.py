"""Boxes of an earlier run of the daemon, until their turns are found again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from status_watcher.core.forest import SessionRef
from status_watcher.core.post import BoxRecord
from status_watcher.core.shown import FIRST_TURN, box_id_of, parts_of
from status_watcher.core.tree import TurnView
from status_watcher.core.turn import Turn
from status_watcher.model import AgentId, BoxId, EntryId, Target

LOST_AFTER_MS: Final = 15_000
"""How long a box of an earlier run waits for its turn to be found before it is closed without it."""
ABSENT_AFTER_MS: Final = 86_400_000
"""The same where nothing at all of its agent can be read: a disk may be mounted late, an agent removed."""


class LostBoxes:
    """Looked for by the ids of their boxes; given up after a while.

    A box that had ended is none of them, and is not touched, unless its turn has gone on since: `notice`
    tells.
    """

    def __init__(self) -> None:
        self._records: dict[BoxId, BoxRecord] = {}
        self._ended: dict[BoxId, BoxRecord] = {}
        self._began_ms = 0
        self._until_ms: dict[AgentId, int] = {}
        """Of agents of which something could be read in this run."""
        self._turns: dict[SessionRef, frozenset[EntryId]] = {}

    @property
    def turns(self) -> Mapping[SessionRef, frozenset[EntryId]]:
        """The turns that had a box when this run began, whether their boxes are still lost or not."""
        return self._turns

    def add(self, records: Iterable[BoxRecord], now_ms: int) -> None:
        """Remember what is lost; nobody looks for a box whose name this version did not make."""
        self._began_ms = now_ms
        for record in records:
            if (parts := parts_of(record.box_id)) is not None:
                ref, turn_id = parts
                (self._ended if record.ended else self._records)[record.box_id] = record
                self._turns[ref] = self._turns.get(ref, frozenset()) | {turn_id}

    def __bool__(self) -> bool:
        return bool(self._records or self._ended)

    def __contains__(self, box_id: BoxId) -> bool:
        return box_id in self._records

    def has_ended(self, box_id: BoxId) -> bool:
        """The box had ended, and nothing is known to have happened to its turn since."""
        return box_id in self._ended

    def notice(self, box_id: BoxId, view: TurnView) -> None:
        """The turn of a box stands like this: if that is news to a box that had ended, it is lost as well."""
        record = self._ended.get(box_id)
        if record is not None and (record.text_sha256 is None or _newest_ms(view) > record.kept_at_ms):
            self._records[box_id] = self._ended.pop(box_id)

    def notice_first(self, ref: SessionRef, turns: Sequence[Turn]) -> None:
        """A box that ended before there was a transcript is that of a turn which had begun by then."""
        box_id = box_id_of(ref, FIRST_TURN)
        record = self._ended.get(box_id)
        if record is not None and turns[0].start_ms <= record.kept_at_ms:
            self._records[box_id] = self._ended.pop(box_id)

    def hear_from(self, agent: AgentId, now_ms: int) -> list[tuple[SessionRef, int]]:
        """Something of the agent could be read: what is not found from now on is missing. Returns by when its
        sessions must be found, the first time.
        """
        if agent in self._until_ms:
            return []
        until_ms = self._until_ms[agent] = now_ms + LOST_AFTER_MS
        return [(ref, until_ms) for ref in self._turns if ref[0] == agent]

    def until_ms(self, ref: SessionRef) -> int:
        """By when the boxes of a session must be found, as far as is known."""
        return self._until_ms.get(ref[0], self._began_ms + ABSENT_AFTER_MS)

    def unread(self, now_ms: int) -> tuple[str, ...]:
        """What `/health` says of boxes whose agents could not be read yet, each agent on a line."""
        if not self._records or now_ms < self._began_ms + LOST_AFTER_MS:
            return ()
        counts: dict[AgentId, int] = {}
        for record in self._records.values():
            parts = parts_of(record.box_id)
            if parts is not None and parts[0][0] not in self._until_ms:
                counts[parts[0][0]] = counts.get(parts[0][0], 0) + 1
        return tuple(
            f"{count} open {'box waits' if count == 1 else 'boxes wait'} for sessions of agent {agent}:"
            " none could be read since the start"
            for agent, count in sorted(counts.items())
        )

    def target_of(self, box_id: BoxId) -> Target | None:
        """Where the post of a box is that nobody has found; None where it may have none."""
        record = self._records.get(box_id)
        return record.target if record is not None and record.post_id is not None else None

    def find(self, box_id: BoxId) -> BoxRecord:
        """The box is lost no more."""
        return self._records.pop(box_id)

    def made_ms(self, box_id: BoxId) -> int:
        return self._records[box_id].intent_at_ms

    def give_up(self, ref: SessionRef, now_ms: int) -> list[tuple[EntryId, BoxRecord]]:
        """The open boxes of a session that nobody has found in time; ended ones are left as they are.

        The time begins when something of the agent could be read: what cannot be read is not gone.
        """
        if now_ms < self.until_ms(ref):
            return []
        given_up: list[tuple[EntryId, BoxRecord]] = []
        for turn_id in self._turns.get(ref, ()):
            box_id = box_id_of(ref, turn_id)
            self._ended.pop(box_id, None)
            if box_id in self._records:
                given_up.append((turn_id, self._records.pop(box_id)))
        return given_up


def _newest_ms(view: TurnView) -> int:
    """When the last thing happened that a box of this view could show."""
    return max(_times_ms(view), default=0)


def _times_ms(view: TurnView) -> Iterator[int]:
    for run in view.runs:
        yield max(run.last_ms, run.ending_ms)
    for child in view.children.values():
        for below in child.turns:
            yield from _times_ms(below)
