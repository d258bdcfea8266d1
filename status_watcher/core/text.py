"""Agent text on its way into a box: what is seen of it, redact, then clip, then neutralise, in this order."""

from status_watcher.core.clip import clip, first_sentence
from status_watcher.core.neutralise import code_span, neutralise, seen, without_unseen
from status_watcher.core.redact import Redactor, redact, without_cut_word

__all__ = [
    "Redactor",
    "clip",
    "code_span",
    "first_sentence",
    "neutralise",
    "redact",
    "seen",
    "without_cut_word",
    "without_unseen",
]
