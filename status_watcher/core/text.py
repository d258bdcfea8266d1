"""Agent text on its way into a box: redact, then clip, then neutralise, in this order."""

from status_watcher.core.clip import clip, first_sentence
from status_watcher.core.neutralise import code_span, neutralise
from status_watcher.core.redact import Redactor, redact

__all__ = ["Redactor", "clip", "code_span", "first_sentence", "neutralise", "redact"]
