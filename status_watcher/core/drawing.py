"""What a box says at its level of detail."""

from functools import partial

from status_watcher.core.pen import Pen
from status_watcher.core.policy import Level
from status_watcher.core.render import Limits, bare_box, doing_words, render
from status_watcher.core.shown import Shown
from status_watcher.core.whereabouts import Ground, level_below
from status_watcher.model import Closing, State


class Drawing:
    """Texts of boxes; `limits` are those of normal detail."""

    def __init__(self, limits: Limits, pen: Pen, ground: Ground) -> None:
        self._normal = limits, pen
        # Twice as many lines, each of which may be twice as long.
        self._detailed = Limits(2 * limits.max_lines, limits.max_chars), pen.roomier()
        self._compact = Limits(limits.max_lines, limits.max_chars, one_line=True), pen
        self._ground = ground
        self._max_chars = limits.max_chars

    def limit_chars(self, max_chars: int) -> None:
        """No text is longer than this from now on."""
        self._max_chars = min(self._max_chars, max_chars)

    def closing_of(self, level: Level) -> Closing:
        """How a box of this level is closed of which only its post is left."""
        one_line = level in {Level.COMPACT, Level.OFF}
        return Closing(State.INTERRUPTED, self._max_chars, one_line)

    def text_of(self, shown: Shown, override: State | None, note: str) -> str:
        """What the box says as of its last change; `override`: our own stop, `note`: said of an open one."""
        match shown.level:
            case Level.DETAILED:
                limits, pen = self._detailed
            case Level.COMPACT | Level.OFF:  # a box that is there is brought to its end
                limits, pen = self._compact
            case Level.NORMAL:
                limits, pen = self._normal
        limits = Limits(limits.max_lines, self._max_chars, limits.one_line)
        if shown.view is None:
            state = override or shown.bare_state
            doing = None if override else shown.bare_doing
            said = doing_words(doing, state, shown.as_of_ms, pen) if doing is not None else ""
            notes = " | ".join(part for part in (said, note) if part)
            return bare_box(
                shown.name, state, shown.bare_elapsed_ms, limits, pen, note=notes, link=shown.link
            )
        return render(
            shown.view,
            shown.name,
            shown.as_of_ms + shown.view.turn.ahead_ms,
            limits,
            pen,
            state=override,
            note=note,
            link=shown.link,
            level_of=partial(level_below, self._ground, shown.target),
        )
