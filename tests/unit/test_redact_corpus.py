"""No made-up secret of `tests/data/secrets` survives; ordinary commands and sentences stay as they are."""

import json
from pathlib import Path

import pytest

from status_watcher.core.redact import Redactor, redact

CORPUS = Path(__file__).parents[1] / "data" / "secrets"
NOBODY = Redactor()
PIECE_CHARS = 8
"""So much of a secret in a row is a leak."""


def cases(name: str) -> list[tuple[str, str, str]]:
    """Kind, text and the secret in it, put together from their pieces."""
    return [
        (
            case["kind"],
            "".join(part for key in ("before", "prefix", "secret", "after") for part in case[key]),
            "".join(case["secret"]),
        )
        for case in json.loads((CORPUS / name).read_text(encoding="utf-8"))
    ]


def leaked(secret: str, shown: str) -> list[str]:
    """Pieces of the secret that are still there."""
    size = min(PIECE_CHARS, len(secret))
    pieces = {secret[at : at + size] for at in range(len(secret) - size + 1)}
    return sorted(piece for piece in pieces if "\n" not in piece and piece in shown)


def ordinary(*names: str) -> list[str]:
    return [
        line for name in names for line in (CORPUS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    ]


FILES = ["positives.json", "held_out.json", "wider.json", "wider_held_out.json"]
CORPORA = {name.removesuffix(".json"): cases(name) for name in FILES}
ORDINARY = ordinary("ordinary", "wider_ordinary", "wider_ordinary_held_out")
every_corpus = pytest.mark.parametrize("corpus", CORPORA.values(), ids=list(CORPORA))


def test_corpus_is_as_large_as_promised():
    for shown, hidden, least in (("positives", "held_out", 200), ("wider", "wider_held_out", 150)):
        assert len(CORPORA[shown]) >= least
        assert len(CORPORA[hidden]) >= least // 4
    assert len({kind for kind, _, _ in CORPORA["positives"]}) >= 30
    assert len({kind for kind, _, _ in CORPORA["wider"]}) >= 60
    assert len(set(ORDINARY)) >= 400


@pytest.mark.parametrize("name", FILES)
def test_corpus_is_stored_in_pieces_too_short_to_be_a_secret(name):
    for case in json.loads((CORPUS / name).read_text(encoding="utf-8")):
        for key in ("before", "prefix", "secret", "after"):
            assert all(len(part) <= 10 for part in case[key]), case["kind"]


@every_corpus
def test_no_secret_of_the_corpus_survives(corpus):
    missed = [(kind, text) for kind, text, secret in corpus if leaked(secret, redact(text, NOBODY))]
    assert missed == []


@every_corpus
def test_without_the_redactor_every_secret_of_the_corpus_shows(corpus):
    assert all(leaked(secret, text) for _, text, secret in corpus)


def test_ordinary_lines_stay_readable():
    changed = [line for line in ORDINARY if redact(line, NOBODY) != line]
    assert len(changed) * 50 <= len(ORDINARY), changed  # 2 %


@every_corpus
def test_what_is_redacted_stays_so(corpus):
    for _, text, _ in corpus:
        once = redact(text, NOBODY)
        assert redact(once, NOBODY) == once


@pytest.mark.parametrize("name", FILES)
def test_most_of_what_surrounds_a_secret_stays(name):
    """A redactor that blanks whole lines would find everything."""
    kept = around = 0
    for case in json.loads((CORPUS / name).read_text(encoding="utf-8")):
        if "private key" not in case["kind"]:
            parts = {key: "".join(case[key]) for key in ("before", "prefix", "secret", "after")}
            around += len(parts["before"]) + len(parts["after"])
            kept += len(redact("".join(parts.values()), NOBODY).replace("(redacted)", ""))
    assert kept >= around * 0.9
