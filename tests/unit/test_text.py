"""The text pipeline, case by case; what holds for any text is in the property tests."""

import time

import pytest

from status_watcher.core.text import Redactor, clip, code_span, first_sentence, neutralise, redact

Z = "\u200b"
TOKEN = "tok/en+5mey4ot7dopqcawteg"
SECRETS = Redactor.for_secrets(TOKEN)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"curl -H 'X: {TOKEN}'", "curl -H 'X: (redacted)'"),
        ("?t=tok%2Fen%2B5mey4ot7dopqcawteg", "?t=(redacted)"),
        ("curl -H 'Authorization: Bearer abc.def-123456' x", "curl -H 'Authorization: Bearer (redacted)' x"),
        ("export MM_TOKEN=abc", "export MM_TOKEN=(redacted)"),
        ('{"password": "hun\\"ter2", "a": 1}', '{"password": (redacted), "a": 1}'),
        ("--password hunter2 --verbose", "--password (redacted) --verbose"),
        ("curl -u bob:pw https://x", "curl -u bob:(redacted) https://x"),
        ("git clone https://bob:pa@ss@git.example/x", "git clone https://bob:(redacted)@git.example/x"),
        ("https://ghp_abcdefghijklmnopqrst1@github.com", "https://(redacted)@github.com"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id (redacted)."),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\ntorn", "a (redacted)"),
        ("the token is abcdefghij1234567890abcdef ok", "the token is (redacted) ok"),
        ("https://mm.example/hooks/abcdefghij1234567890abcdef", "https://mm.example/hooks/(redacted)"),
        ("mysql -h db -phunter2 app", "mysql -h db -p(redacted) app"),
        ("log in with password hunter2 please", "log in with password (redacted) please"),
        ("Das Passwort lautet: geheim99", "Das Passwort lautet: (redacted)"),
        ("https://tok99secret9@git.example/x", "https://(redacted)@git.example/x"),
        ("https://abc:x-oauth-basic@git.example", "https://(redacted):(redacted)@git.example"),
        ("db.example.com:5432:app:bob:pw", "db.example.com:5432:app:bob:(redacted)"),
        ("echo pw | docker login --password-stdin", "echo (redacted) | docker login --password-stdin"),
        ("cp k9Xf2QwZ7bVn4RtY8mPl3JhG6sDa1Ce5 x", "cp (redacted) x"),
        ("/files/k9Xf2QwZ7bVn4RtY8mPl3JhG6sDa1Ce5/get", "/files/(redacted)/get"),
        ("export SECRET_KEY_BASE=" + "aB3xK9mQ" + "7zR2wL5p", "export SECRET_KEY_BASE=(redacted)"),
    ],
)
def test_secret_is_redacted_and_the_rest_stays(text, shown):
    assert redact(text, SECRETS) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ls /agents/sessions",
        "docker run -u 1000:1000 image",
        'password=$PASS token=${TOKEN} secret="$X"',
        "max_tokens=100 tokens: 5",
        "PWD=/home/node",
        "def f(token: str) -> None",
        "the bearer authentication failed",
        "disk-usage-of-a-rather-long-file-name",
        "channel kz5mey4ot7dopqcawtegozda4r",
        "python -u main.py",
        '"sessionKey": "agent:main:subagent:f9410b41-929d-41a3-9979-2aabbd3e2377"',
        "password: authentication failed for bob",
        "token = request.headers.get('X')",
        "getUserAccessTokenFromRequestHeaderOrCookieV2",
        "sha512-2jdQ0xw3rMG5sFQ6IWW9b5sXx0lWyN5bMxKsTgXnhTWzgeYVBOjZBvqHh5JgbDJmJXtLrKRGDH8rRpvYdzZK8g==",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text, SECRETS) == text


def test_redactor_does_not_print_its_secrets():
    assert TOKEN not in repr(SECRETS)


def test_secrets_too_short_to_be_one_shred_nothing():
    assert redact("a b c", Redactor.for_secrets("", "a")) == "a b c"


def test_text_beyond_the_bound_is_dropped_with_the_word_it_would_cut():
    head = "x " * 32_760
    assert redact(head + "ghp_" + "a" * 60_000, Redactor()) == head
    assert redact("a" * 100_000, Redactor()) == "(redacted)"


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "eyJ",
            "token",
            "token=\\",
            "-----BEGIN PRIVATE KEY-----",
            "://a:",
            "Bearer ",
            "-u a",
            "mysql ",
            "?key=",
            "token: a ",
            "password=",
            "a_key='",
            "secret is ",
            "ghp_",
            "Aa1",
            "aA1/",
            "://a@",
            "a:",
            "identified by ",
            "<password>",
            "echo a | ",
            "printf a -stdin ",
            "login a password ",
            "docker login ",
            'name="password" value="',
            "-us",
            "Q~",
            "sk-",
            "s.",
        ),
        # Commands, code and prose, in which a rule looks for words one after another.
        *(
            "-u a -x b ",
            "-u a -p ",
            "htpasswd -b ",
            "mc alias set a ",
            "openssl passwd ",
            "vault kv put a=",
            "rclone pass ",
            "7z -p'",
            'mysql -p"a',
            "curl -u '",
            '"sshpass", "-p", ',
            "login('a', ",
            "auth=(",
            "set('password', ",
            "name: password value: ",
            "insert (password) values ",
            "password default ",
            "password: ' send ",
            "a <<< ",
            "sudo -S a <<a\n",
            "digest a",
            "log in a / ",
            "| password | ",
            "mnemonic ",
            "seed abc abc ",
            "2fa abcd ",
            "$6$a",
            "hooks/a",
            "a:a@",
            "key: [1,",
            "jwt.sign(a, ",
            "passphrase: >\n ",
            "password for a ",
        ),
        *(
            "a",
            " ",
            "<",
            ":a",
            "`",
            "_",
            "$a",
            "&a",
            "\\",
            "www",
            "\x1b]",
            "\u0301",
            "é\u200d",
            "a:",
            "-",
            "1",
            "[",
        ),
    ],
)
def test_long_hostile_text_takes_no_time(piece):
    """Milliseconds in truth; a quadratic pattern would take minutes."""
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    redact(text, SECRETS)
    neutralise(text)
    code_span(text)
    clip(text, 160)
    first_sentence(text, 160)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "max_chars", "clipped"),
    [
        ("short", 5, "short"),
        ("a  b\n\tc", 10, "a b c"),
        ("abcdef", 4, "abc…"),
        ("ab cdef", 4, "ab…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("", 5, ""),
        ("ab👩‍👩‍👧", 4, "ab…"),
        ("🇩🇪🇫🇷🇮🇹", 4, "🇩🇪…"),
        ("cafe\u0301s", 5, "caf…"),
    ],
)
def test_clip_ends_before_what_does_not_fit(text, max_chars, clipped):
    assert clip(text, max_chars) == clipped


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Reading live-status source code...", "Reading live-status source code..."),
        ("Plan ready. Awaiting approval.", "Plan ready."),
        ("Here is **the** plan: do `it`. Then more.", "Here is the plan: do it."),
        ("## Heading\n\nText", "Heading"),
        ("- [ ] a *first* item! Yes", "a first item!"),
        ("> 1. quoted step. Second", "quoted step."),
        ("```bash\nls -la\n```\nDone.", "ls -la"),
        ("---\n\nHello", "Hello"),
        ("See [the docs](http://x.y/z). Next", "See the docs."),
        ("e.g. this one, v2.0 of a.py. Next", "e.g. this one, v2.0 of a.py."),
        ("Let me check... then go on. Next", "Let me check... then go on."),
        ("Dr. Who came. He left", "Dr. Who came."),
        ("Really?! Yes.", "Really?!"),
        ("你好。再见。", "你好。"),
        ("no full stop\nsecond line", "no full stop"),
        ("\u200b\n🎉", "🎉"),
        ("***\n|---|---|\n", ""),
        ("", ""),
    ],
)
def test_first_sentence_is_what_the_agent_said(text, sentence):
    assert first_sentence(text, 160) == sentence


def test_first_sentence_is_clipped():
    assert first_sentence("A sentence that is too long.", 10) == "A sentenc…"


@pytest.mark.parametrize(
    "text",
    [
        "Reading status_watcher/core/text.py at 10:30:45 (2 * 3 = 6), 50% done; see #123 - v2.0!",
        "--flag -v +1 a|b {x} ~/file a.b.c x < y > z & w",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@all", f"@{Z}all"),
        ("mail me@all.com", f"mail me@{Z}all.com"),
        ("\\@all", f"\\{Z}@{Z}all"),
        ("&#64;all", f"&{Z}#64;all"),
        ("&lt;", f"&{Z}lt;"),
        ("#tag ##tag \\#tag", f"#{Z}tag ##{Z}tag \\{Z}#{Z}tag"),
        ("~town ~~gone~~", f"~{Z}town ~{Z}~{Z}gone~{Z}~"),
        ("http://x.y/z", f"http:{Z}//x.y/z"),
        ("mailto:bob", f"mailto:{Z}bob"),
        ("mailto:(bob)", f"mailto:{Z}(bob)"),
        ("www.example.com", f"www{Z}.example.com"),
        ("example.com/path", f"example.{Z}com/path"),
        ("[OK](http://x)", f"\\[OK\\](http:{Z}//x)"),
        ("[DONE] 3s", "\\[DONE\\] 3s"),
        ("![i](x)", "!\\[i\\](x)"),
        ("<b>x</b>", "&lt;b>x&lt;/b>"),
        ("<me@all.com>", f"&lt;me@{Z}all.com>"),
        ("`ls` ```", "\\`ls\\` \\`\\`\\`"),
        ("*.py **/x*", "\\*.py \\*\\*/x\\*"),
        ("__init__ _a_ snake_case", "\\_\\_init__ \\_a_ snake_case"),
        (":smile: main.c:100:5", f":{Z}smile: main.c:{Z}100:5"),
        (":) ;-) x-D <3", f":{Z}) ;{Z}-) x-{Z}D &lt;{Z}3"),
        ("$x$ ${A}", "$x&#36; &#36;{A}"),
        ("C:\\dir\\", f"C:\\dir\\{Z}"),
        ("a\nb\r\nc\u2028d\u2424e", "a b c d e"),
        ("a\u202eb\u2066c\x00d\x1b[31me\x1b[0m", "abcde"),
        ("@\u200dall", f"@{Z}all"),
        ("👩‍👧 नमस्‍ते", "👩‍👧 नमस्‍ते"),
    ],
)
def test_what_would_act_is_stopped(text, shown):
    assert neutralise(text) == shown


@pytest.mark.parametrize(
    "text",
    ["1. a", "1) a", "- a", "+ a", "> a", "# a", "| a |", "---", "===", "- - -", "1.", "-", "#", ":--|--:"],
)
def test_line_cannot_begin_a_block(text):
    assert neutralise(text) == Z + text


def test_indentation_is_gone():
    assert neutralise("    code") == "code"
    assert neutralise("\u00a0\u00a0\u00a0\u00a0code") == "code"


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\x1b[0m", "\u202e"])
def test_nothing_to_see_is_empty(text):
    assert neutralise(text) == ""
    assert code_span(text) == "` `"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("ls", "`ls`"),
        ("echo `date`", "`` echo `date` ``"),
        ("`", "`` ` ``"),
        ("a``b`", "``` a``b` ```"),
        ("cat <<E\nx\nE", "`cat <<E x E`"),
        ("grep '#tag' *_x_* \\n", "`grep '#tag' *_x_* \\n`"),
        ("a\u202e\x1b[31mb\u2424c", "`ab c`"),
    ],
)
def test_code_span_holds_any_text_exactly(text, span):
    assert code_span(text) == span
