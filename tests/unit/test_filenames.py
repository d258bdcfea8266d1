import os

import pytest

from status_watcher.core.filenames import (
    Archive,
    Foreign,
    PackedArchive,
    StoreIndex,
    Transcript,
    classify,
    printable,
)

ID = "5f9c8568-533a-480b-b63c-e5a59dda559b"
FORKED = f"2026-11-20T16-54-01-449Z_{ID}.jsonl"


@pytest.mark.parametrize(
    "name",
    [f"{ID}.jsonl", f"{ID}-topic-o4xf8w1rkpdxbk9m5cyz3nteqa.jsonl", f"{ID}-topic-7.jsonl", FORKED],
)
def test_every_form_of_a_transcript_claims_its_session(name):
    assert classify(name) == Transcript(ID)


def test_a_transcript_may_have_any_id():
    assert classify("my session.jsonl") == Transcript("my session")
    assert classify("-topic-x.jsonl") == Transcript("-topic-x")


@pytest.mark.parametrize("live", [f"{ID}.jsonl", f"{ID}-topic-abc.jsonl", FORKED])
@pytest.mark.parametrize("how", ["reset", "deleted"])
def test_an_archive_knows_where_it_comes_from_and_why(live, how):
    stamp = "2026-11-20T15-13-31.330Z"
    assert classify(f"{live}.{how}.{stamp}") == Archive(live, ID, how, stamp)


@pytest.mark.parametrize("live", [f"{ID}.jsonl", f"{ID}-topic-abc.jsonl", FORKED])
@pytest.mark.parametrize("how", ["reset", "deleted"])
@pytest.mark.parametrize("generation", ["", ".e0d938a7a59b45b0926857ef56b3aa65"])
def test_an_archive_of_a_database_is_known_packed_or_not(live, how, generation):
    stamp = "2026-11-21T17-27-52.620Z"
    plain, packed = (
        classify(f"{live}.{how}.{stamp}{generation}"),
        classify(f"{live}.{how}.{stamp}{generation}.zst"),
    )
    assert plain == Archive(live, ID, how, stamp)
    assert packed == PackedArchive(ID, how, stamp)
    assert plain.at_ms == packed.at_ms == 1795282072620


def test_the_index_is_the_index():
    assert classify("sessions.json") == StoreIndex()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".jsonl",
        f".{ID}.jsonl",
        f"{ID}.jsonl.lock",
        f"{ID}.trajectory.jsonl",
        f"{ID}.trajectory.jsonl.deleted.2026-11-20T15-13-31.330Z",
        f"{ID}.trajectory-path.json",
        f"{ID}.checkpoint.0398f183.jsonl",
        f".openclaw-trajectory-.12.{ID}.tmp",
        f"{ID}.jsonl.bak-812-1795187166799",
        f"{ID}.jsonl.repair.812.{ID}.tmp",
        f"{ID}.jsonl.reset.",
        f"{ID}.jsonl.deleted.2026-11-20T15-13-31.330Z.0af3.zst.tmp",
        f"{ID}.jsonl.deleted.2026-11-20T15-13-31.330Z.0af3.zst.{ID}.stage",
        f"{ID}.jsonl.deleted.2026-11-20T15-13-31.330Z.{ID}.jsonl-stage",
        f"{ID}.jsonl.zst",
        f"sessions.json.812.{ID}.tmp",
        "sessions.json.lock",
        "sessions.json.bak.1795187166799",
        "notes.txt",
    ],
)
def test_everything_else_is_foreign(name):
    assert classify(name) == Foreign()


def test_P15_a_name_that_is_no_text_gives_an_id_that_can_be_saved():
    kind = classify(os.fsdecode(b"\xff.jsonl"))
    assert isinstance(kind, Transcript)
    assert kind.session_id.encode() == b"\\xff"


def test_P15_printable_leaves_text_alone():
    assert printable("/tmp/ä/😀") == "/tmp/ä/😀"
    assert printable(os.fsdecode(b"/tmp/\xff\n")) == "/tmp/\\xff\n"
