r"""Agent text as plain text in Mattermost: what it says is what is shown, and it does nothing.

Made for one line that follows our own `> `. It has two means, both unseen by the reader: a backslash,
which every client takes away before Markdown's own characters, and U+200B where a backslash would show
or not help. They are used only where a character could act, so that `snake_case`, `10:30:45` and
`--flag` stay as people grep for them.

Sources: the web client's parser (mattermost/marked) and formatter, the server's `shared/markdown`, both
of 9.9, and CommonMark for the mobile clients.
"""

import re
from typing import Final

ZWSP: Final = "\u200b"


def neutralise(text: str) -> str:
    """`text` on one line that cannot mention, link, preview, tag or format; "" if there is nothing to see.

    Brackets are always escaped: no text of an agent holds a tag such as [DONE] as it stands in our own lines.
    """
    text = _visible(text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _UNDERSCORES.sub(lambda run: r"\_" * len(run[0]), text)
    if opening := _FORMULA_START.search(text):
        text = text[: opening.end()] + _FORMULA_END.sub("&#36;", text[opening.end() :])
    return ZWSP + text if _BLOCK_START.match(text) else text


def code_span(text: str) -> str:
    """`text` as one line of code in a fence of its own; a blank in it if there is nothing to see.

    Nobody looks for mentions, links and emoji in code. The server does find hashtags there, for its search
    only: they are let be, because a command with U+200B in it would no longer run when it is copied.
    """
    text = _visible(text) or " "
    longest = max(map(len, _TICKS.findall(text)), default=0)
    if not longest:
        return f"`{text}`"
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def without_unseen(text: str) -> str:
    """`text` with its lines, without escape sequences, controls and characters made to be unseen.

    Whoever looks for something in a text looks here: a token with a colour or a blank of no width in its
    middle is seen as what it is.
    """
    if not text.isascii():
        text = _UNSEEN.sub("", _ESCAPE_SEQUENCES.sub("", text).translate(_LINE_ENDS))
        return _MARK_TOWERS.sub(r"\1", _CONTROLS.sub("", text))
    return _CONTROLS.sub("", _ESCAPE_SEQUENCES.sub("", text)) if _CONTROLS.search(text) else text


def seen(text: str) -> str:
    """`text`, or "" if nobody would see anything of it."""
    return text if without_unseen(text).strip() else ""


def _visible(text: str) -> str:
    """What is to be seen of `text`, on one line."""
    return " ".join(without_unseen(text).split())


_TICKS: Final = re.compile("`+")
_ESCAPE_SEQUENCES: Final = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # colours and cursor
    "|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)"  # titles and links
    "|\x1b[ -/]*[0-~]?"
)
# The picture of a newline is one to the web client.
_LINE_ENDS: Final = {0x2424: " ", 0x2028: "\n", 0x2029: "\n"}
_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # the others are blanks
# Marks of direction, joiners without a script that needs them, invisible operators, tags, lone surrogates.
_UNSEEN: Final = re.compile(
    "[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
    "\u034f\u180b-\u180f\U0001bca0-\U0001bca3]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
    "|(?<=[!-~])[\ufe00-\ufe0f](?!\u20e3)"  # a keycap is a digit with two of its kind behind it
)
_MARK_TOWERS: Final = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)

# In this order: raw backslashes before ours, what reads raw text before what escapes it.
_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # A backslash that would escape something, or the end of the line, for itself.
        (r"\\(?=[!-/:-@\[-`{-~]|\Z)", "\\\\" + ZWSP),
        # Entities: the clients decode them, the server of 6.7 even into mentions.
        (r"&(?=#?\w+;)", f"&{ZWSP}"),
        # Tags and <autolinks>: U+200B does not stop the latter.
        (r"<(?=\S)", "&lt;"),
        # Mentions, mail addresses; hashtags (a letter must follow); channels and ~~strike~~.
        (r"@(?=\S)", f"@{ZWSP}"),
        (r"#(?=[^\W\d])", f"#{ZWSP}"),
        (r"~(?=[A-Za-z0-9._~-])", f"~{ZWSP}"),
        # Links: any scheme with something behind it (sites may add their own), be it our mark of a cut; www.
        # and name.tld/.
        (
            r"(?<![A-Za-z0-9.+-])(?=[0-9.+-]*+[A-Za-z])([A-Za-z0-9.+-]++):(?=[/%…]|[^\W_])",
            rf"\1:{ZWSP}",
        ),
        (r":(?=//)|(?<=[Mm][Aa][Ii][Ll][Tt][Oo]):(?=[^\s\u200b])", f":{ZWSP}"),
        (r"((?i:www)\d{0,3})(?=\.)", rf"\1{ZWSP}"),
        (r"\.(?=[^\W\d_]{2,4}/)", f".{ZWSP}"),
        # Emoji and emoticons. Two digits between colons are a time; `:100:` is a picture of 💯.
        (r":(?![0-9]{1,2}:)(?=[A-Za-z0-9_+-]++:)", f":{ZWSP}"),
        (r"(?<![A-Za-z0-9_])([:;])(?=-?[])(\[@|/$oOdDpPsSxX]|['`’]-?\()", rf"\1{ZWSP}"),
        (r"(?<![A-Za-z0-9_])([xX]-)(?=[dD](?![A-Za-z0-9_]))", rf"\1{ZWSP}"),
        (r"&lt;(?=/?3)", f"&lt;{ZWSP}"),
        # Code, links and our own tags; emphasis. A star between blanks is a product.
        (r"[`\[\]]|(?<! )\*|\*(?! )", r"\\\g<0>"),
    )
)
# An underscore opens emphasis only where no letter or digit is before it; then its whole run is escaped.
_UNDERSCORES: Final = re.compile("(?<![A-Za-z0-9_])_+")
# Formulas between dollar signs, where a site has them on: without an end there is none.
_FORMULA_START: Final = re.compile(r"(?<![A-Za-z0-9])\$")
_FORMULA_END: Final = re.compile(r"\$(?![A-Za-z0-9_])")
# Headings, quotes, lists, rules, underlines of headings, rows of tables. Stars and fences are escaped by now.
_BLOCK_START: Final = re.compile(r"#{1,6}(?:\s|$)|[>|]|[-+](?:\s|$)|\d+[.)](?:\s|$)|[-=:| ]+$")
