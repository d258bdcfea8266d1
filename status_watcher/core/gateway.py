"""What a gateway's hook tells of the gateway, and what open boxes and `/health` say of one that is gone."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from status_watcher.core.skew import Skew
from status_watcher.core.tree import TurnView
from status_watcher.core.turn import Turn
from status_watcher.model import SessionKey

DEATH_IS_NEWS_MS: Final = 24 * 3_600_000
"""For how long a gateway that died without a word is a problem by itself: then it was given up."""

_NONE_COMPACTING: Final[Mapping[SessionKey, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class GatewayNote:
    """The hook's note of one gateway, and what has become of the process that it names; wall clock."""

    at_ms: int
    """When the gateway had started, or was told to stop."""
    stopping: bool
    alive_ms: int
    """When its process was seen last."""
    gone_ms: int | None = None
    """When it was first found missing; None while it is there, or if that cannot be told."""
    compacting: Mapping[SessionKey, int] = field(default_factory=lambda: _NONE_COMPACTING)
    """The sessions whose compaction has begun, and when."""


@dataclass(frozen=True, slots=True)
class GatewayStop:
    """A gateway is stopping, or is gone. Its runs may still go on: 2026.9.6 waits minutes for them."""

    since_ms: int
    """When it was told to stop; of one that died without a word when it was last seen."""
    gone_ms: int | None = None
    """Its process was found missing then, so what still looks like a run is none."""
    told: bool = True
    """False: it was killed, or crashed."""

    def told_by(self, skew: Skew) -> "GatewayStop":
        """The same in board time."""
        gone_ms = None if self.gone_ms is None else skew.board_ms(self.gone_ms)
        return replace(self, since_ms=skew.board_ms(self.since_ms), gone_ms=gone_ms)


@dataclass(frozen=True, slots=True)
class GatewayWord:
    """What all notes come to, wall clock."""

    stop: GatewayStop | None = None
    """None: the gateway works, as far as anybody tells."""
    compacting: Mapping[SessionKey, int] = field(default_factory=lambda: _NONE_COMPACTING)


def word_of(notes: Collection[GatewayNote]) -> GatewayWord:
    """What the notes of the gateways that serve the watched sessions say: the newest counts.

    There is more than one only where a gateway names its state directory in another way than the last did.
    """
    if not notes:
        return GatewayWord()
    newest = max(notes, key=lambda note: note.at_ms)
    if newest.gone_ms is not None:
        since_ms = newest.at_ms if newest.stopping else newest.alive_ms
        return GatewayWord(GatewayStop(since_ms, newest.gone_ms, told=newest.stopping))
    return GatewayWord(GatewayStop(newest.at_ms) if newest.stopping else None, newest.compacting)


def gateway_note(stop: GatewayStop | None, start_ms: int, written_ms: int) -> str:
    """The words for a turn that is open, began at `start_ms` and has its newest line of `written_ms`; "" if
    there is nothing to say.

    A turn that began after the gateway's stop, or wrote after its end, is another gateway's: one without our
    hook.
    """
    if stop is None or start_ms > stop.since_ms:
        return ""
    if stop.gone_ms is None:
        return "gateway stopping"
    return "gateway stopped" if written_ms <= stop.gone_ms else ""


class Gateway:
    """The word on the gateway held against what its sessions write; board time."""

    def __init__(self) -> None:
        self._stop: GatewayStop | None = None
        self._newest_start_ms = 0
        self._newest_line_ms = 0

    def hear(self, stop: GatewayStop | None) -> None:
        """It stops or is gone, or (None) works."""
        self._stop = stop

    def saw(self, turn: Turn) -> None:
        """The newest turn of any session, as it stands."""
        self._newest_start_ms = max(self._newest_start_ms, turn.start_ms)
        self._newest_line_ms = max(self._newest_line_ms, turn.run.last_ms)

    def note(self, start_ms: int, view: TurnView | None) -> str:
        """What the open box of that turn says of it; `view` is None where only the store tells of it."""
        return gateway_note(self._stop, start_ms, _written_ms(view) if view is not None else 0)

    def problem(self, open_turns: Iterable[tuple[int, TurnView | None]], now_ms: int) -> tuple[str, ...]:
        """What `/health` says of it; `open_turns` are the starts and the views of the open boxes.

        A gateway that is gone is a problem while an open box hangs on it, and where it died without a word
        for a day also without one: it may have been given up for good. None is where some session has gone
        on since, or a turn has begun: some gateway works.
        """
        stop = self._stop
        if stop is None or stop.gone_ms is None:
            return ()
        if self._newest_start_ms > stop.since_ms or self._newest_line_ms > stop.gone_ms:
            return ()
        missed = not stop.told and now_ms - stop.since_ms < DEATH_IS_NEWS_MS
        hangs = any(self.note(start_ms, view) for start_ms, view in open_turns)
        return ("gateway: stopped",) if missed or hangs else ()


def _written_ms(view: TurnView) -> int:
    """When the newest line of the turn and of its sub-agents was written, by its own stamp."""
    below = [_written_ms(turn) for child in view.children.values() for turn in child.turns]
    return max([view.turn.run.last_ms, *below])
