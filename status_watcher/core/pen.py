"""The one way from agent text to box text: what is seen of it, redacted, then clipped, then neutralised."""

from functools import lru_cache

from status_watcher.core.naming import Link
from status_watcher.core.neutralise import ZWSP
from status_watcher.core.text import (
    Redactor,
    clip,
    code_span,
    first_sentence,
    neutralise,
    redact,
    without_cut_word,
    without_unseen,
)
from status_watcher.core.transcript import LONGEST_TEXT_CHARS

SENTENCE_CHARS = 160
ARGUMENT_CHARS = 120
NAME_CHARS = 60


class Pen:
    """Writes agent text so that it shows no secret and does nothing.

    What it wrote is remembered, since boxes repeat.
    """

    def __init__(self, redactor: Redactor, *, room: int = 1) -> None:
        """`room`: how many times the usual length sentences and arguments may have."""
        self._redactor = redactor
        self._sentence_chars, self._argument_chars = SENTENCE_CHARS * room, ARGUMENT_CHARS * room
        self.sentence = lru_cache(maxsize=4096)(self._sentence)
        self.argument = lru_cache(maxsize=4096)(self._argument)
        self.name = lru_cache(maxsize=1024)(self._name)

    def roomier(self) -> "Pen":
        """One that writes the same at twice the length."""
        return Pen(self._redactor, room=2)

    def link(self, link: Link) -> str:
        """A link of our own making; "" if it would show a secret.

        The server fetches no preview for this form, as it does for a bare address (`getFirstLink` in its
        post_metadata.go).
        """
        shown = redact(link.url, self._redactor) == link.url
        return f"[{link.text}]({link.url})" if shown else ""

    def _sentence(self, text: str) -> str:
        """The first sentence of what an agent said, as plain text; "" if it said nothing readable."""
        open_text = self._open(text)
        sentence = first_sentence(open_text, self._sentence_chars)
        if sentence not in open_text:  # decoration is gone from it that could have stood within a secret
            sentence = clip(redact(sentence, self._redactor), self._sentence_chars)
        return _closing_nothing(neutralise(sentence))

    def _argument(self, text: str) -> str:
        """A tool's telling argument in a code span; "" if there is none."""
        text = clip(self._open(text), self._argument_chars)
        return _closing_nothing(code_span(text)) if text else ""

    def _name(self, text: str) -> str:
        """A label, an agent's name or a tool's, on one line; a colon behind it makes no emoji of its end."""
        text = clip(self._open(text), NAME_CHARS)
        if not text:
            return "unnamed"
        name = neutralise(f"{text}:")[:-1]
        # A tool may be called `#`: with a blank behind it, that begins a heading.
        begins_block = neutralise(text).startswith(ZWSP) and not name.startswith(ZWSP)
        return _closing_nothing(ZWSP + name if begins_block else name)

    def _open(self, text: str) -> str:
        """What everybody may see of `text`."""
        if len(text) == LONGEST_TEXT_CHARS:
            text = without_cut_word(text)
        return redact(without_unseen(text), self._redactor)


def _closing_nothing(text: str) -> str:
    r"""The text without a `](` that would make a link of one of our own tags before it.

    Mattermost's web client (9.9) looks for the end of `[OK]…](…)` across lines, code and `\]`, and stops only
    at another `[`: where the text itself has one before, nothing is changed, so that commands can be copied.
    """
    free, bracket, rest = text.partition("[")
    return free.replace("](", f"]{ZWSP}(") + bracket + rest
