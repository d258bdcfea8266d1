"""A post's text as the HTML that Mattermost's web client would show.

The grammar is that of the client's own parser as of server 9.9, which is not CommonMark: a quote swallows
every line up to an empty one, emphasis binds before code, an unclosed fence is no code. markdown-it drives,
the rules are ours. Names are not looked up: what would be a mention or a channel link if there were such a
name is shown as one. Not drawn: LaTeX, HTML blocks as blocks of their own, the checkboxes of task lists.
"""

import html
import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from status_watcher.sandbox import markdown_blocks as blocks
from status_watcher.sandbox import markdown_spans as spans
from status_watcher.sandbox.text_marks import mark_up

_BLANKS_ONLY = re.compile(r"^( *) $", re.MULTILINE)


def render_markdown(text: str) -> str:
    """Safe HTML for a post's text: no markup of the text survives, links go only to harmless schemes.

    Mentions are `span.mention[data-mention]`, hashtags `a.hashtag`, channel links `a.channel-link`, emoji
    `span.emoji`; line breaks are `<br>`, so the HTML stands without a style sheet.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").replace("\u00a0", " ")
    # A line of blanks is no empty line to the client; markdown-it agrees if the last blank is a no-break one.
    rendered: str = _PARSER.render(_BLANKS_ONLY.sub("\\1\u00a0", plain))
    return rendered


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, *__: Any) -> str:
    token = tokens[index]
    return mark_up(token.content, in_link=bool(token.meta.get("in_link")))


def _code_inline(_: RendererHTML, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return f"<code>{html.escape(tokens[index].content.strip())}</code>"


def _code_block(_: RendererHTML, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return f"<pre><code>{html.escape(tokens[index].content)}</code></pre>\n"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("zero").enable("code")
    of_blocks, of_spans = parser.block.ruler, parser.inline.ruler
    # In the client's order: the first rule that fits has the line.
    for block_name, block, ends_paragraph in (
        ("client_fence", blocks.fence, True),
        ("client_heading", blocks.heading, True),
        ("client_table", blocks.table, False),
        ("client_underlined_heading", blocks.underlined_heading, True),
        ("client_rule", blocks.rule, True),
        ("client_quote", blocks.quote, True),
        ("client_list", blocks.item_list, True),
        ("client_definition", blocks.definition, True),
    ):
        of_blocks.before("paragraph", block_name, block, {"alt": ["paragraph"] if ends_paragraph else []})
    for name, span in (
        ("client_escape", spans.escape),
        ("client_autolink", spans.autolink),
        ("client_url", spans.url),
        ("client_tag", spans.tag),
        ("client_link", spans.link),
        ("client_emphasis", spans.emphasis),
        ("client_code", spans.code),
        ("client_deletion", spans.deletion),
        ("client_text", spans.text),
    ):
        of_spans.push(name, span)
    of_spans.disable("text")
    parser.inline.ruler2.enableOnly([])  # they pair up delimiters, which our rules do not leave behind
    parser.add_render_rule("text", _text)
    parser.add_render_rule("code_inline", _code_inline)
    parser.add_render_rule("code_block", _code_block)
    parser.add_render_rule("fence", _code_block)
    return parser


_PARSER = _parser()
