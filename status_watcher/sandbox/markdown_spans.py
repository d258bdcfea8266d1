"""The inline rules of Mattermost's web client (server 9.9) where CommonMark's differ, for markdown-it.

The client reads from left to right and takes the first thing that fits: an asterisk may pair with one inside
a code span further on. A rule consumes from `state.pos` and answers whether it did; plain text collects in
`state.pending`.
"""

import re
from urllib.parse import unquote

from markdown_it.rules_inline import StateInline, backtick
from markdown_it.token import Token

_MAX_DEPTH = 40
"""Spans within spans: more than anybody writes, and few enough for Python's stack."""

_SCHEMES = frozenset({"http", "https", "ftp", "mailto", "tel", "mattermost"})
"""What the client links without being asked; a site can add to it."""

_ESCAPE = re.compile(r"\\([`*{}\[\]()#+\-.!_>~|]|\\(?!\w))", re.ASCII)
_ANGLED = re.compile(r"<((?:[^ >]+(?:@|:/)|www\d{0,3}\.)[^ >]+)>", re.ASCII)
_ATTRIBUTE = r"""\s+[a-z:_][\w.:-]*(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?"""
_TAG = re.compile(
    rf"</[a-z][\w:-]*\s*>|<[a-z][\w-]*(?:{_ATTRIBUTE})*\s*/?>|<!--.*?-->|<\?.*?\?>|<![a-z]+\s.*?>",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_WIDE_PUNCTUATION = "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff5e\u3001\u3002\u300c-\u3011"
_URL = re.compile(
    rf"""
    (?: [A-Za-z][A-Za-z0-9.+-]* : (?: /{{1,3}} | [^\W_] | % )     # with a scheme
      | www[0-9]{{0,3}} \.                                        # or www.
      | (?: [^\W_] | [.-] )+ \. [^\W\d_]{{2,4}} /                 # or host and slash
    )
    (?: \[ [0-9a-f:]+ \]
      | [^\s`!()\[\]{{;:'",<>?«»“”‘’{_WIDE_PUNCTUATION}]
      | [`!\[\]{{;:'",<>?«»“”‘’] (?= [^\s()<>] )                  # punctuation only inside
      | \( (?: [^\s()<>] | \( [^\s()<>]+ \) )* \)                 # brackets in pairs
    )+
    """,
    re.VERBOSE,
)
_SCHEME = re.compile(r"([a-z0-9+.-]+):", re.IGNORECASE | re.ASCII)
_LABEL = r"!?\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]"
_LINK = re.compile(_LABEL + r"\(((?:[^()]|\([^()]*\))*)\)")
_LINK_PARTS = re.compile(r"\s*<?(.*?)>?(?:\s+['\"](.*?)['\"])?\s*$", re.DOTALL)
_REFERENCE = re.compile(_LABEL + r"(?:\s*\[([^\]]*)\])?")
_STRONG = re.compile(r"\*\*(.+?)\*\*(?!\*)|__(.+?)__(?!_)", re.DOTALL)
_WORD_ENDS = r"""(?=$|[\s!"#$%&'()*+,\-./:;<=>?@\\\[^{|}~])"""
_EM = re.compile(
    rf"""
      _ ([^\s_]) _ (?!_)
    | _ (\S .*? [^\s_] | [^\s_] .*? \S) _ {_WORD_ENDS}
    | \* ([^\s*"<]) \* (?!\*)
    | \* ([^\s"<] .*? [^\s*] | [^\s*"<] .*? \S) \* (?!\*)
    """,
    re.VERBOSE | re.DOTALL,
)
_DELETION = re.compile(r"~~(?=\S)(.*?\S)~~", re.DOTALL)
_STOP = re.compile(r"[\\<!\[`*~]|\b_|\b[a-z][a-z0-9.+-]{1,31}:|\bwww[0-9]{0,3}\.", re.ASCII)


def escape(state: StateInline, _silent: bool) -> bool:
    """A backslash goes away before characters that mean something to this parser, before others it shows."""
    found = _ESCAPE.match(state.src, state.pos)
    if found:
        state.pending += found[1]
        state.pos = found.end()
    return bool(found)


def autolink(state: StateInline, _silent: bool) -> bool:
    """`<address>`."""
    found = _ANGLED.match(state.src, state.pos)
    if not found:
        return False
    target = found[1]
    address = target if ":" in target or "@" not in target else f"mailto:{target}"
    _push_link(state, address, "", [_plain(target)])
    state.pos = found.end()
    return True


def url(state: StateInline, _silent: bool) -> bool:
    """A bare address of a known scheme, without the punctuation it ends in."""
    found = None if state.env.get("in_link") else _URL.match(state.src, state.pos)
    if not found:
        return False
    address = found[0].rstrip("?!.,:*_~'\"")
    scheme = _SCHEME.match(address)
    if not address or (scheme and scheme[1].lower() not in _SCHEMES):
        return False
    _push_link(state, address, "", [_plain(address)])
    state.pos += len(address)
    return True


def tag(state: StateInline, _silent: bool) -> bool:
    """HTML shows as it is written, and nothing in it is emphasis or a link."""
    found = _TAG.match(state.src, state.pos)
    if found:
        state.pending += found[0]
        state.pos = found.end()
    return bool(found)


def link(state: StateInline, _silent: bool) -> bool:
    """`[text](anything)`, blanks and nothing included, and `[text][label]` of a known definition."""
    if state.src[state.pos] not in "![":
        return False
    found = _LINK.match(state.src, state.pos)
    if found:
        parts = _LINK_PARTS.match(found[2])
        href, title = (parts[1], parts[2] or "") if parts else (found[2], "")
    else:
        found = _REFERENCE.match(state.src, state.pos)
        label = " ".join((found[2] or found[1]).split()).lower() if found else ""
        if not found or label not in state.env.get("definitions", {}):
            return False
        href, title = state.env["definitions"][label]
    if found[0].startswith("!"):
        # The page fetches nothing: an image is a link to it.
        _push_link(state, href, title, [_plain(f"image: {found[1] or href}")], kind="image")
    else:
        _push_link(state, href, title, _nested(state, found[1], in_link=True))
    state.pos = found.end()
    return True


def emphasis(state: StateInline, _silent: bool) -> bool:
    """`**strong**`, `__strong__`, `*em*` and, between words, `_em_`."""
    mark = state.src[state.pos]
    if mark not in "*_":
        return False
    for pattern, name in ((_STRONG, "strong"), (_EM, "em")):
        if found := pattern.match(state.src, state.pos):
            _push_span(state, name, found[found.lastindex or 0])
            state.pos = found.end()
            return True
    return False


def code(state: StateInline, silent: bool) -> bool:
    """Code between runs of backticks of one length; a run without its like is text, with what follows it."""
    start = state.pos
    if not backtick(state, silent):
        return False
    if not state.src[start : state.pos].strip("`"):
        _take_text(state, state.pos)
    return True


def deletion(state: StateInline, _silent: bool) -> bool:
    """`~~deleted~~`."""
    found = _DELETION.match(state.src, state.pos)
    if found:
        _push_span(state, "del", found[1])
        state.pos = found.end()
    return bool(found)


def text(state: StateInline, _silent: bool) -> bool:
    """What no other rule wants, up to the next place where one might."""
    _take_text(state, state.pos + 1)
    return True


def _take_text(state: StateInline, search_from: int) -> None:
    stop = _STOP.search(state.src, search_from)
    end = stop.start() if stop else state.posMax
    state.pending += state.src[state.pos : end]
    state.pos = end


def _plain(content: str) -> Token:
    return Token("text", "", 0, content=content, meta={"in_link": True})


def _nested(state: StateInline, source: str, *, in_link: bool = False) -> list[Token]:
    """The tokens of what stands within a span or a link's text, which may hold no further link."""
    env = state.env
    depth, outer_link = env.get("span_depth", 0), env.get("in_link", False)
    if depth >= _MAX_DEPTH:
        return [_plain(source)]
    env["span_depth"], env["in_link"] = depth + 1, in_link or outer_link
    tokens = state.md.inline.parse(source, state.md, env, [])
    env["span_depth"], env["in_link"] = depth, outer_link
    for token in tokens:
        if in_link:
            token.meta["in_link"] = True
    return tokens


def _push_span(state: StateInline, name: str, source: str) -> None:
    inner = _nested(state, source)
    state.push(f"{name}_open", name, 1)
    state.tokens.extend(inner)
    state.push(f"{name}_close", name, -1)


def _push_link(state: StateInline, href: str, title: str, inner: list[Token], kind: str = "") -> None:
    """A link around `inner`; `inner` alone where it would stand in another link or run a script."""
    squeezed = re.sub(r"[^\w:]", "", unquote(href)).lower()
    if state.env.get("in_link") or squeezed.startswith(("javascript:", "vbscript:", "data:")):
        if state.pending:
            state.pushPending()
        state.tokens.extend(inner)
        return
    absolute = href.startswith("/") or _SCHEME.match(href)
    opened = state.push("link_open", "a", 1)
    opened.attrs = {"href": href if absolute else f"http://{href}", "rel": "noreferrer", "target": "_blank"}
    if title:
        opened.attrs["title"] = title
    if kind:
        opened.attrs["class"] = kind
    state.tokens.extend(inner)
    state.push("link_close", "a", -1)
