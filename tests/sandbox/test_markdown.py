"""What the page makes of a post's text; expectations are those of Mattermost's web client at server 9.9."""

import re

import pytest

from status_watcher.sandbox.markdown import render_markdown

BOX = """\
**[ACTIVE]** main · 38s
> Reading live-status source code...
> exec: `ls /agents/sessions` [OK]
> Sub-agent: proj035-planner
> > Reading protocol...
> > Sub-agent: proj035-reader
> > > read: `protocol.md` [OK]
> > > [DONE] 9s
> >
> > exec: `make test` [ERR 2] 11s
> > [DONE] 28s
>
> Plan ready. Awaiting approval.

**[DONE]** 53s | 12.4k tokens"""


def quotes_around(words: str, html: str) -> int:
    before = html[: html.index(words)]
    return before.count("<blockquote>") - before.count("</blockquote>")


def mentions(html: str) -> list[str]:
    return re.findall(r'<span class="mention" data-mention="([^"]*)"', html)


def links(html: str) -> list[str]:
    return re.findall(r'<a href="([^"]*)"', html)


def hashtags(html: str) -> list[str]:
    return re.findall(r'<a class="hashtag" href="#">([^<]*)</a>', html)


class TestQuotes:
    def test_a_box_with_its_separator_lines_keeps_every_line_at_its_level(self):
        html = render_markdown(BOX)
        assert quotes_around("[ACTIVE]", html) == 0
        assert quotes_around("Reading live-status", html) == 1
        assert quotes_around("Reading protocol", html) == 2
        assert quotes_around("protocol.md", html) == 3
        assert quotes_around("[ERR 2]", html) == 2
        assert quotes_around("Plan ready", html) == 1
        assert quotes_around("12.4k tokens", html) == 0

    def test_without_the_outer_mark_alone_the_sub_agent_swallows_what_follows(self):
        html = render_markdown(BOX.replace("> >\n", "").replace("\n>\n", "\n"))
        assert quotes_around("[ERR 2]", html) == 3
        assert quotes_around("Plan ready", html) == 3

    def test_without_an_empty_line_the_quote_swallows_the_last_line(self):
        html = render_markdown(BOX.replace("\n\n", "\n"))
        assert quotes_around("12.4k tokens", html) == 1
        assert (
            quotes_around("12.4k tokens", render_markdown(BOX.replace("\n>\n", "\n").replace("\n\n", "\n")))
            == 2
        )

    def test_every_line_of_a_box_is_a_line_of_its_own(self):
        html = render_markdown(BOX)
        for text in ("Reading live-status source code...", "Sub-agent: proj035-planner", "[DONE] 28s"):
            assert re.search(rf"(<br>|<p>){re.escape(text)}(<br>|</p>)", html)

    @pytest.mark.parametrize("line", ["plain", "# heading", "- item", "```", "***", "    indented"])
    def test_any_line_right_after_a_quote_lands_inside(self, line):
        html = render_markdown(f"> quoted\n{line}\nlast")
        assert quotes_around("last", html) == 1

    def test_a_line_of_blanks_does_not_end_a_quote(self):
        assert quotes_around("last", render_markdown("> quoted\n  \nlast")) == 1
        assert quotes_around("last", render_markdown("> > quoted\n>   \n> last")) == 2

    def test_quotes_with_an_empty_line_between_are_one(self):
        assert render_markdown("> a\n\n> b").count("<blockquote>") == 1

    def test_a_hundred_levels_are_drawn_and_thousands_do_no_harm(self):
        assert render_markdown("> " * 90 + "deep").count("<blockquote>") == 90
        assert "deep" in render_markdown("> " * 5000 + "deep")


class TestMentions:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("ping @alice, and @bob.", ["alice", "bob"]),
            ("@all @channel @here @ALL", ["all", "channel", "here", "ALL"]),
            ("_@alice", ["alice"]),
            ("@alice@bob", ["alice", "bob"]),
            ("> @quoted", ["quoted"]),
            ("**@strong** ~~@gone~~ *@em*", ["strong", "gone", "em"]),
            ("[@linked](http://example.com/@target)", ["linked"]),
            ("a | b\n--|--\n@cell | x", ["cell"]),
            (r"\@all", ["all"]),
            ("```\nunclosed @all", ["all"]),
            ("```\na\n```\n@all\n```", ["all"]),
            ("`a`b @all`", ["all"]),
            ("`open\n\n@all`", ["all"]),
        ],
    )
    def test_a_name_that_would_be_a_mention_is_marked(self, text, found):
        assert mentions(render_markdown(text)) == found

    @pytest.mark.parametrize(
        "text",
        [
            "`@all`",
            "`` a`b @all ``",
            "```\n@all\n```",
            "~~~\n@all\n~~~",
            "````\n```\n@all\n````",
            "    @all",
            "me@all.com",
            "&#64;all",
            "@\u200ball",
            "@\u2060all",
            "＠all",
            "[x](http://example.com/@all)",
            "@...",
        ],
    )
    def test_what_the_client_does_not_mark_is_not_marked(self, text):
        assert mentions(render_markdown(text)) == []

    def test_with_more_than_a_thousand_marks_the_run_stays_plain(self):
        assert len(mentions(render_markdown("@a " * 1000))) == 1000
        assert mentions(render_markdown("@a " * 1001)) == []


class TestHashtagsChannelsEmoji:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("#abc #a-b.c", ["#abc", "#a-b.c"]),
            ("#ab #1abc #123", []),
            ("x#abc", []),
            (r"\#abc", ["#abc"]),
            ("#\u200babc `#abc`", []),
            ("#größe", ["#größe"]),
        ],
    )
    def test_a_hashtag_is_a_letter_and_two_more(self, text, found):
        assert hashtags(render_markdown(text)) == found

    def test_a_tilde_before_a_name_links_the_channel(self):
        html = render_markdown("see ~town-square. not a~b, ~/path or `~code`")
        assert re.findall(r'class="channel-link" href="([^"]*)"', html) == ["?channel=town-square"]

    def test_shortcodes_and_smileys_become_emoji_outside_code_only(self):
        html = render_markdown(":tada: :D `:tada:` 10:30:45 :no_such_emoji:")
        assert re.findall(r'data-emoji="([^"]*)"', html) == ["tada", "smile"]
        assert "10:30:45 :no_such_emoji:" in html
        assert "<code>:tada:</code>" in html


class TestLinks:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("https://example.com/a_b_(c)?d=1.", ["https://example.com/a_b_(c)?d=1"]),
            ("www.example.com and example.org/x", ["http://www.example.com"]),
            ("example.org/x", ["http://example.org/x"]),
            ("exec:foo javascript:alert(1) git+ssh://host/x", []),
            ("<https://example.com/>", ["https://example.com/"]),
            ("mail me@example.com", ["mailto:me@example.com"]),
            ("`https://example.com`", []),
            ("[OK](3 s)", ["http://3 s"]),
            ("[OK]()", ["http://"]),
            ("[OK] (3 s)", []),
            (r"\[OK\](3 s)", []),
            ("[x][label]\n\n[label]: /path", ["/path"]),
            ("[x](javascript:alert%281%29) [y](JavaScript\n:alert) [z](data:text/html,x)", []),
        ],
    )
    def test_what_the_client_would_link_is_a_link(self, text, found):
        assert links(render_markdown(text)) == found

    def test_an_image_is_a_link_and_fetches_nothing(self):
        html = render_markdown("![chart](https://example.com/c.png)")
        assert "<img" not in html
        assert 'class="image"' in html

    def test_a_link_holds_no_other_link(self):
        html = render_markdown("[#hashtag https://example.com [in](/ner)](/outer)")
        assert html.count("<a ") == 1


class TestText:
    def test_a_single_newline_is_a_line_break(self):
        assert render_markdown("a\nb\r\nc") == "<p>a<br>b<br>c</p>\n"

    @pytest.mark.parametrize("character", list(r"\`*_{}[]()#+-.!~|>"))
    def test_a_backslash_before_a_character_of_the_grammar_is_taken_away(self, character):
        assert "\\" not in re.sub(r"\\\\", "", render_markdown(f"a\\{character} b")).replace("<p>a\\ b", "")

    @pytest.mark.parametrize("character", list("@<:$&\"'/,;=?^%a1"))
    def test_a_backslash_before_any_other_character_shows(self, character):
        assert "\\" in render_markdown(f"a\\{character} b")

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            (
                "**a** __b__ *c* _d_ ~~e~~",
                "<strong>a</strong> <strong>b</strong> <em>c</em> <em>d</em> <del>e</del>",
            ),
            ("snake_case_name __init__", "snake_case_name <strong>init</strong>"),
            ("*.py and **/x*", "<em>.py and **/x</em>"),
            ("2 * 3 * 4", "2 * 3 * 4"),
            ("**a `b** c`", "<strong>a `b</strong> c`"),
            ("`` a`b ``", "<code>a`b</code>"),
            (r"`a\_b`", r"<code>a\_b</code>"),
            ("`*a* &amp; <b>`", "<code>*a* &amp;amp; &lt;b&gt;</code>"),
        ],
    )
    def test_spans_are_those_of_the_client(self, text, html):
        assert render_markdown(text) == f"<p>{html}</p>\n"

    @pytest.mark.parametrize(
        "text",
        ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<b>x</b>", "a <!-- b --> c", "\"'<&>"],
    )
    def test_html_shows_as_it_was_written(self, text):
        html = render_markdown(text)
        assert re.findall(r"<(?!/?p>)", html) == []

    @pytest.mark.parametrize(
        "text", ['[x](/"onmouseover=alert(1))', '[x](/a "t\\"><script>")', 'www.x"onload=1', '@a"b', ':D"<']
    )
    def test_no_text_leaves_the_attribute_it_stands_in(self, text):
        html = re.sub(r'"[^"<>]*"', '""', render_markdown(text))
        assert re.findall(r"<[^<>]*(?:onmouseover|onload|script)", html) == []

    def test_a_table_divides_at_pipes_even_in_code(self):
        html = render_markdown("| a | b |\n|:--|--:|\n| `x|y` |\n| 1\\|2 | `3\\|4` |\n")
        assert '<th style="text-align:left">a</th>' in html
        assert re.findall(r"<td[^>]*>(.*?)</td>", html) == ["`x", "y`", "1|2", "<code>3\\|4</code>"]

    def test_a_row_of_dashes_makes_one_line_a_heading(self):
        assert render_markdown("a\nb\n---\nc") == "<p>a</p>\n<h2>b</h2>\n<p>c</p>\n"
        assert "<h2>" not in render_markdown("a\n\n---")

    def test_four_blanks_are_code_only_after_an_empty_line(self):
        assert "<pre>" in render_markdown("a\n\n    b")
        assert "<pre>" not in render_markdown("a\n    b")

    def test_a_line_without_indent_leaves_the_list(self):
        assert render_markdown("- a\n- b\nc") == "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>c</p>\n"

    def test_a_list_keeps_its_first_number_and_what_is_indented(self):
        html = render_markdown("3. a\n   - b\n4. c")
        assert '<ol start="3">' in html
        assert html.count("<li>") == 3

    @pytest.mark.parametrize(
        "text", ["", "\n", "`", "**", "[", "![", "> ", ">", "- ", "|\n|-", "\x00", "```", "~", "@", "<"]
    )
    def test_fragments_do_no_harm(self, text):
        assert isinstance(render_markdown(text), str)
