import pytest

from status_watcher.core.stores import (
    FilesLook,
    NoDatabase,
    NoSessionsInIt,
    SessionsInIt,
    Store,
    Unusable,
    choose,
    described,
)

AT_MS = 1_795_187_373_948
FILES = FilesLook(AT_MS)


def database(newest_ms: int, rows: int = 3) -> SessionsInIt:
    return SessionsInIt(23, "2026.9.6", newest_ms, rows)


@pytest.mark.parametrize("look", [NoDatabase(), NoSessionsInIt()])
@pytest.mark.parametrize("files", [None, FILES])
def test_files_speak_where_no_database_has_sessions(files, look):
    assert choose(files, look) is Store.FILES


@pytest.mark.parametrize(
    ("files", "look", "speaks"),
    [
        pytest.param(None, database(0, rows=0), Store.DATABASE, id="a fresh 2026.9 installation"),
        pytest.param(FILES, database(AT_MS), Store.DATABASE, id="just imported"),
        pytest.param(FILES, database(AT_MS + 1), Store.DATABASE, id="files that stayed after a migration"),
        pytest.param(FILES, database(AT_MS - 1), Store.FILES, id="back on an older OpenClaw"),
        pytest.param(FILES, database(0, rows=0), Store.FILES, id="a database made before its import"),
        pytest.param(FilesLook(0), database(0, rows=0), Store.FILES, id="transcripts without an index"),
    ],
)
def test_the_newer_word_counts(files, look, speaks):
    assert choose(files, look) is speaks


def test_nobody_speaks_while_an_unusable_database_may_know_better():
    assert choose(FILES, Unusable("locked", AT_MS + 60_000)) is Store.NEITHER
    assert choose(FILES, Unusable("locked", AT_MS - 60_000)) is Store.FILES
    assert choose(None, Unusable("locked", AT_MS)) is Store.DATABASE


def test_health_names_the_schema_and_the_version_that_wrote_it():
    assert described(Store.DATABASE, database(1)) == "sqlite, schema 23 (OpenClaw 2026.9.6)"
    assert described(Store.DATABASE, SessionsInIt(4, "", 1, 1)) == "sqlite, schema 4"
    assert described(Store.DATABASE, Unusable("locked", 1)) == "sqlite, not readable yet"
    assert described(Store.FILES, NoDatabase()) == "files"
