"""Hostile text against CommonMark's parser and models of what Mattermost looks for in a post.

The models are wider than the finders they stand for: what they do not find, Mattermost 9.9 does not find.
"""

import html
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from status_watcher.core.text import Redactor, clip, code_span, first_sentence, neutralise, redact

TOKEN = "kz5mey4ot7dopqcawtegozda4r"
SECRETS = Redactor.for_secrets(TOKEN)

# fmt: off
PIECES = [
    "`", "``", "```", "~~~", "*", "**", "* ", "_", "__", "~~", "~", "#", "## ", "-", "- ",
    "+ ", "1. ", "1)", "> ", "|", "| --- |", "---", "===", "[", "]", "(", ")", "![", "[OK]",
    "[DONE]", "](http://x)", "[x]: http://y.z", "@all", "@channel", "@here", "@",
    "me@all.com", "#tag", "#é", "~town", ":smile:", ":+1:", ":100:", ":", ":)",
    "http://x.y/z", "https:", "//", "www.", "www1.x.com", "x.com/", "mailto:a", "<", ">",
    "<b>", "<a@b>", "<http://x>", "&", "&lt;", "&#64;all", "&commat;all", "&#x23;tag", "\\",
    "\\\\", "$", "$x$", "<3", ";)", "x-D", "\n", "\r\n", "\t", "\x00", "\x1b[31m",
    "\x1b]8;;http://x\x07", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028",
    "\u2424", "\u00a0", "    ", " ", "\ud800", "é", "日本", "👩‍👩‍👧", "🇩🇪", "e\u0301", "a",
    "foo", "10:30:45", "1",
]
# fmt: on
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)

# What a server or a client may look for, once escapes and entities are taken away.
FINDERS = {
    "mention": re.compile(r"@[A-Za-z0-9._-]"),
    "hashtag": re.compile(r"#[^\W\d_]"),
    "channel": re.compile(r"~[A-Za-z0-9._-]"),
    "link": re.compile(r"[A-Za-z][A-Za-z0-9.+-]*:(?:/|%|[^\W_])|://|www\d*\."),
    "domain": re.compile(r"[^\W_]\.[^\W\d_]{2,4}/"),
    "mail": re.compile(r"@[^\s\u200b]"),
    "emoji": re.compile(r":(?!\d{1,2}:)[A-Za-z0-9_+-]+:"),
    "emoticon": re.compile(r"(?:^|[^A-Za-z0-9_]):-?[])(\[@|/$oOdDpPsSxX]|<3|</3|(?:^|[^A-Za-z0-9_]);-?\)"),
    "laugh": re.compile(r"(?:^|[^A-Za-z0-9_])[xX]-[dD](?![A-Za-z0-9_])"),
}
# Python decodes some entities without their semicolon, the client escapes the ampersand of those.
ENTITY = re.compile(r"&#?\w+;")
ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
COMMONMARK = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
QUOTED_PARAGRAPH = ["blockquote_open", "paragraph_open", "inline", "paragraph_close", "blockquote_close"]
CODE = re.compile(r"`[^`]*`")


def seen(text: str) -> str:
    """What a reader sees of plain text."""
    unescaped = ENTITY.sub(lambda entity: html.unescape(entity[0]), ESCAPED.sub(r"\1", text))
    return unescaped.replace("\u200b", "")


def visible(text: str) -> str:
    """What there is to see in agent text, by way of a code span, which shows everything as it is."""
    (span,) = [child for child in inline(code_span(text)) if child.type == "code_inline"]
    return span.content.strip()


def inline(line: str):
    (token,) = [token for token in COMMONMARK.parse("> " + line) if token.type == "inline"]
    return token.children


@settings(max_examples=400)
@given(HOSTILE)
def test_plain_text_is_shown_as_it_is(text):
    shown = neutralise(text)
    assert seen(shown) == visible(text)
    assert "\n" not in shown


@settings(max_examples=400)
@given(HOSTILE)
def test_plain_text_does_nothing_in_a_quote(text):
    line = neutralise(text) or "x"
    assert [token.type for token in COMMONMARK.parse("> " + line)] == QUOTED_PARAGRAPH
    assert {child.type for child in inline(line)} <= {"text", "text_special"}
    assert "".join(child.content for child in inline(line)).replace("\u200b", "") == seen(line)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_lines_below_each_other_make_no_block_together(first, second, third):
    lines = [neutralise(text) or "x" for text in (first, second, third)]
    lines[1] = f"{lines[1]} {code_span(second)} [OK]"
    box = "\n".join(f"> {line}" for line in lines)
    assert [token.type for token in COMMONMARK.parse(box)] == QUOTED_PARAGRAPH


@settings(max_examples=400)
@given(HOSTILE)
def test_nothing_in_plain_text_is_found(text):
    shown = neutralise(text)
    for name, finder in FINDERS.items():
        for stage in (shown, ESCAPED.sub(r"\1", shown), html.unescape(shown)):
            assert not finder.search(stage), name


@given(HOSTILE)
def test_no_plain_text_holds_one_of_our_tags(text):
    shown = neutralise(text)
    assert "[" not in shown.replace("\\[", "")
    assert "]" not in shown.replace("\\]", "")


@given(HOSTILE, HOSTILE)
def test_code_span_ends_where_it_should(before, text):
    line = f"{neutralise(before)} {code_span(text)} [OK]".lstrip()
    codes = [child for child in inline(line) if child.type == "code_inline"]
    assert len(codes) == 1
    assert line.endswith(" [OK]")
    assert inline(line)[-1].content == " [OK]"


@given(HOSTILE)
def test_code_span_is_on_one_line_and_never_empty(text):
    span = code_span(text)
    assert len(span.splitlines()) == 1
    assert span.strip("`")


@given(HOSTILE, st.integers(min_value=0, max_value=40))
def test_clip_is_short_and_on_one_line(text, max_chars):
    clipped = clip(text, max_chars)
    assert len(clipped) <= max_chars
    assert len(clipped.splitlines()) <= 1


@given(HOSTILE, st.integers(min_value=1, max_value=40))
def test_clip_keeps_the_beginning_and_says_what_is_missing(text, max_chars):
    whole = " ".join(text.split())
    clipped = clip(text, max_chars)
    assert clipped == whole or (clipped.endswith("…") and whole.startswith(clipped[:-1]))


CLUSTERS = st.lists(
    st.sampled_from(
        [
            "a",
            "é",
            "e\u0301",
            "👩‍👩‍👧",
            "🇩🇪",
            "👍🏽",
            "❤️",
            "1️⃣",
            "क्ष",
            "한",
            "\u1100\u1161\u11a8",
            "🏴\U000e0067\U000e007f",
        ]
    ),
    max_size=12,
)


@given(CLUSTERS, st.integers(min_value=1, max_value=30))
def test_clip_never_cuts_inside_a_cluster(clusters, max_chars):
    clipped = clip("".join(clusters), max_chars)
    prefixes = {"".join(clusters[:count]) for count in range(len(clusters) + 1)}
    assert clipped.removesuffix("…") in prefixes


@given(HOSTILE, st.integers(min_value=0, max_value=40))
def test_first_sentence_is_short_and_on_one_line(text, max_chars):
    sentence = first_sentence(text, max_chars)
    assert len(sentence) <= max_chars
    assert len(sentence.splitlines()) <= 1


@given(HOSTILE, HOSTILE, st.sampled_from([" ", "=", "'", '"', "\n", "/", ":"]))
def test_our_token_never_survives(before, after, glue):
    text = before + glue + TOKEN + glue + after
    assert TOKEN not in redact(text, SECRETS)


@given(HOSTILE | st.text())
def test_redacting_twice_changes_nothing(text):
    once = redact(text, SECRETS)
    assert redact(once, SECRETS) == once


SECRET_VALUES = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=24, max_size=40
).map(lambda text: "Q7" + text)


@given(
    SECRET_VALUES,
    st.sampled_from(
        [
            "password={}",
            "PASSWORD='{}' make",
            "export DB_PASSWORD={} x",
            'api_key: "{}"',
            '{{"token": "{}"}}',
            '-d "{{\\"secret\\":\\"{}\\"}}"',
            "--password {}",
            "--api-key={}",
            "curl -u bob:{} https://x",
            "curl -H 'Authorization: Bearer {}'",
            "Authorization: Basic {}",
            "Bearer {}",
            "https://bob:{}@example.com/x",
            "https://x/y?access_token={}&z=1",
            "ghp_{}",
            "see sk-{} there",
            "glpat-{}",
            "xoxb-{}",
            "npm_{}",
            "hf_{}",
            "eyJhbGciOiJ.{}.sig",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\\n{}",
            "sshpass -p {} ssh host",
        ]
    ),
    HOSTILE,
)
def test_secret_of_a_known_shape_never_survives(secret, shape, after):
    assert secret not in redact(shape.format(secret) + " " + after, Redactor())
