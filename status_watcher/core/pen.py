"""The one way from agent text to box text: redact, then clip, then neutralise, in this order."""

from functools import lru_cache

from status_watcher.core.neutralise import ZWSP
from status_watcher.core.text import Redactor, clip, code_span, first_sentence, neutralise, redact

SENTENCE_CHARS = 160
ARGUMENT_CHARS = 120
NAME_CHARS = 60


class Pen:
    """Writes agent text so that it shows no secret and does nothing.

    What it wrote is remembered, since boxes repeat.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.sentence = lru_cache(maxsize=4096)(self._sentence)
        self.argument = lru_cache(maxsize=4096)(self._argument)
        self.name = lru_cache(maxsize=1024)(self._name)

    def _sentence(self, text: str) -> str:
        """The first sentence of what an agent said, as plain text; "" if it said nothing readable."""
        return _closing_nothing(neutralise(first_sentence(redact(text, self._redactor), SENTENCE_CHARS)))

    def _argument(self, text: str) -> str:
        """A tool's telling argument in a code span; "" if there is none."""
        text = clip(redact(text, self._redactor), ARGUMENT_CHARS)
        return _closing_nothing(code_span(text)) if text else ""

    def _name(self, text: str) -> str:
        """A label, an agent's name or a tool's, on one line."""
        return _closing_nothing(neutralise(clip(redact(text, self._redactor), NAME_CHARS))) or "unnamed"


def _closing_nothing(text: str) -> str:
    r"""The text without a `](` that would make a link of one of our own tags before it.

    Mattermost's web client (9.9) looks for the end of `[OK]…](…)` across lines, code and `\]`, and stops only
    at another `[`: where the text itself has one before, nothing is changed, so that commands can be copied.
    """
    free, bracket, rest = text.partition("[")
    return free.replace("](", f"]{ZWSP}(") + bracket + rest
