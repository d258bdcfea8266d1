"""Which hashtags the server indexes for a text."""

import re

MAX_HASHTAGS_CHARS = 1000
_HASHTAG = re.compile(r"(?<![\w#])#([^\W\d_][\w.\-]*[^\W_])")


def hashtags_of(message: str) -> str:
    """The text's hashtags, blank between them, cut silently to the column's 1,000 characters.

    A hashtag is `#`, a letter and at least two more characters (9.9); code is no shelter from it, a
    zero-width space after the `#` is.
    """
    kept: list[str] = []
    room = MAX_HASHTAGS_CHARS
    for match in _HASHTAG.finditer(message) if "#" in message else ():
        tag = match.group()
        if len(tag) < 4:
            continue
        room -= len(tag) + 1
        if room < 0:
            break
        kept.append(tag)
    return " ".join(kept)
