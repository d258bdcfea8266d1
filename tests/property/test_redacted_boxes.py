"""A secret anywhere in what an agent says or does: no piece of it stands in the box, however text was cut."""

import random
import re
import string

from boxed import PLACES, box_of
from hypothesis import given, settings
from hypothesis import strategies as st

from status_watcher.core.pen import Pen
from status_watcher.core.redact import Redactor
from status_watcher.core.transcript import LONGEST_TEXT_CHARS

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
PIECE_CHARS = 8
PEN = Pen(Redactor())

# What surrounds the random part, what it is made of, and how long it is.
SHAPES = [
    ("ghp_{}", ALNUM, 36),
    ("github_" + "pat_{}", ALNUM, 60),
    ("gl" + "pat-{}", ALNUM, 20),
    ("sk-ant-" + "api03-{}", ALNUM, 93),
    ("sk-proj-{}", ALNUM, 80),
    ("AKIA{}", string.ascii_uppercase + "234567", 16),
    ("AIza{}", ALNUM, 35),
    ("hf_{}", string.ascii_letters, 34),
    ("dapi{}", HEX, 32),
    ("xoxb-{}", string.digits, 40),
    ("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", ALNUM, 60),
    ("password={}", ALNUM, 20),
    ("DB_PASSWORD='{}'", ALNUM, 20),
    ('"api_key": "{}"', HEX, 40),
    ("--token {}", HEX, 40),
    ("Authorization: Bearer {}", ALNUM, 40),
    ("https://bob:{}@git.example.com/x.git", ALNUM, 24),
    ("postgres://app:{}@db/app", HEX, 24),
    ("curl -u bob:{} https://x", ALNUM, 24),
    ("sshpass -p {} ssh host", ALNUM, 24),
    ("htpasswd -b f bob {}", ALNUM, 24),
    ("mc alias set n http://h:9000 a {}", HEX, 24),
    ("mysql -uroot -p{} shop", HEX, 24),
    ('["redis-cli", "-a", "{}"]', ALNUM, 24),
    ("mongosh -u app -p {} db", HEX, 24),
    ('smtp.login("bob", "{}")', HEX, 24),
    ("DB_PASSWORD: {}", HEX, 24),
    ("-----BEGIN PRIV" + "ATE KEY-----\n{}\n-----END PRIV" + "ATE KEY-----", ALNUM, 200),
]
FILLER = [
    "word ",
    "a ",
    "src/core/x.py ",
    "x\n",
    "é ",
    "日本 ",
    "👩‍👩‍👧 ",
    "**",
    "`ls` ",
    "- ",
    "# ",
    "'",
    "& ",
    ". ",
]
UNSEEN = ["", "", "", "\u200b", "\u2060", "\x1b[31m", "\x1b[0m", "\x00", "\u202e", "\u00ad", "\ufe0f"]


def drawn(seed: int) -> tuple[str, str]:
    """A text with a secret in it, and the secret's random part; the same for the same seed."""
    r = random.Random(seed)
    shape, alphabet, size = r.choice(SHAPES)
    secret = "".join(r.choice(alphabet) for _ in range(size))
    before = "".join(r.choice(FILLER) for _ in range(r.choice([0, 1, 5, 20, 40])))
    if before and not before[-1].isspace():
        before += " "
    after = " " + "".join(r.choice(FILLER) for _ in range(r.choice([0, 3, 40])))
    at = r.randrange(1, len(secret))
    return before + shape.format(secret[:at] + r.choice(UNSEEN) + secret[at:]) + after, secret


def shown(text: str) -> str:
    """What a reader of the post can put together."""
    return re.sub(r"\u200b|\\(?=[!-/:-@\[-`{-~])", "", text)


def leaked(secret: str, text: str) -> list[str]:
    pieces = {secret[at : at + PIECE_CHARS] for at in range(len(secret) - PIECE_CHARS + 1)}
    return sorted(piece for piece in pieces if piece in text or piece in shown(text))


SEEDS = st.integers(0, 2**32)


@settings(max_examples=400, deadline=None)
@given(SEEDS, st.sampled_from(PLACES))
def test_no_piece_of_a_secret_stands_in_a_box(seed, place):
    text, secret = drawn(seed)
    box = box_of(place, text)
    assert not leaked(secret, box), (text, box)


@settings(max_examples=600, deadline=None)
@given(SEEDS, st.integers(0, 400))
def test_no_piece_of_a_secret_survives_a_cut(seed, shift):
    """The secret stands right where sentences, arguments and names are cut."""
    text, secret = drawn(seed)
    text = "x" * shift + " " + text
    for write in (PEN.sentence, PEN.argument, PEN.name):
        assert not leaked(secret, write(text)), (write, text)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.integers(1, 120))
def test_no_piece_survives_in_a_text_that_was_too_long_to_be_kept(seed, kept):
    """What is kept of a long text ends within the secret."""
    text, secret = drawn(seed)
    start = text.find(secret[0])
    text = "\n" * (LONGEST_TEXT_CHARS - start - kept) + text
    for write in (PEN.sentence, PEN.argument, PEN.name):
        assert not leaked(secret, write(text[:LONGEST_TEXT_CHARS])), write


def test_secrets_of_these_tests_would_show_without_the_redactor():
    texts = [drawn(seed) for seed in range(300)]
    visible = [(PEN.argument(text.replace(secret, "x" * 20)), text) for text, secret in texts]
    assert any("x" * 8 not in shown_ for shown_, _ in visible)
    assert sum(bool(leaked(secret, text)) for text, secret in texts) > 250
