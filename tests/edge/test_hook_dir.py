"""The hook's directory on a real disk: whole, brought up to date, and nobody else's touched."""

import json
import os

import pytest

from status_watcher.edge.hook_dir import Failed, Presence, Removed, hooks_in, install, look, uninstall

NAME = "status-watcher-hook"
FILES = {"HOOK.md": b"---\nname: status-watcher-hook\n---\n", "handler.js": b"export default 1;\n"}
OLD = {"HOOK.md": b"---\nname: status-watcher-hook\ndescription: x\n---\n", "handler.js": b"old"}
COMMAND = ("/usr/bin/python3", "-m", "status_watcher")


@pytest.fixture
def place(tmp_path):
    return tmp_path / "hooks" / NAME


def contents(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def test_a_new_copy_has_the_files_and_how_to_start_the_daemon(place):
    copy = install(place, FILES, "1.2", COMMAND)
    assert (copy.presence, copy.version, copy.current) == (Presence.OURS, "1.2", True)
    found = contents(place)
    assert json.loads(found.pop("installed.json")) == {"version": "1.2", "command": list(COMMAND)}
    assert found == FILES
    assert sorted(entry.name for entry in place.parent.iterdir()) == [NAME]


def test_a_gateway_may_read_what_it_does_not_own(place):
    before = os.umask(0o022)
    try:
        install(place, FILES, "1", COMMAND)
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o777 == 0o755
    assert {entry.stat().st_mode & 0o777 for entry in place.iterdir()} == {0o644}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_installs_belongs_to_whoever_has_the_state_directory(place, tmp_path):
    os.chown(tmp_path, 12345, 12346)
    before = os.umask(0o077)
    try:
        install(place, OLD, "1", COMMAND)
        install(place, FILES, "1", COMMAND)
    finally:
        os.umask(before)
    made = [place.parent, place, *place.iterdir()]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12346)}


def test_installing_twice_changes_no_file(place):
    install(place, FILES, "1", COMMAND)
    before = {entry.name: entry.stat().st_ino for entry in place.iterdir()}
    assert install(place, FILES, "1", COMMAND).current
    assert {entry.name: entry.stat().st_ino for entry in place.iterdir()} == before


@pytest.mark.parametrize("what", ["files", "version", "command"])
def test_what_is_out_of_date_is_said_and_brought_up_to_date(place, what):
    old = {
        "files": (OLD, "1", COMMAND),
        "version": (FILES, "0", COMMAND),
        "command": (FILES, "1", ("/gone/python",)),
    }
    install(place, *old[what])
    (place / "notes.txt").write_text("mine")
    assert not look(place, FILES, "1", COMMAND).current
    assert install(place, FILES, "1", COMMAND).current
    assert contents(place)["notes.txt"] == b"mine"
    assert contents(place)["handler.js"] == FILES["handler.js"]


def test_a_copy_made_by_hand_is_ours(place):
    place.mkdir(parents=True)
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    copy = look(place, FILES, "1", COMMAND)
    assert (copy.presence, copy.version, copy.current) == (Presence.OURS, None, False)
    assert install(place, FILES, "1", COMMAND).current


@pytest.mark.parametrize("left", [[], ["handler.js"], ["handler.js", "installed.json"]])
def test_what_an_interrupted_installation_left_is_completed(place, left):
    install(place, FILES, "1", COMMAND)
    for entry in place.iterdir():
        if entry.name not in left:
            entry.unlink()
    assert install(place, FILES, "1", COMMAND).current


@pytest.mark.parametrize("kind", ["file", "link", "other hook", "other directory"])
def test_what_is_not_ours_is_refused_and_left_alone(place, tmp_path, kind):
    place.parent.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "HOOK.md").write_text("---\nname: something-else\n---\n")
    match kind:
        case "file":
            place.write_text("x")
        case "link":
            (other / "HOOK.md").write_bytes(FILES["HOOK.md"])
            place.symlink_to(other)
        case "other hook":
            other.rename(place)
        case "other directory":
            place.mkdir()
            (place / "precious").write_text("x")
    assert look(place, FILES, "1", COMMAND).presence is Presence.FOREIGN
    failed = install(place, FILES, "1", COMMAND)
    assert isinstance(failed, Failed)
    assert str(place) in failed.reason
    assert not (place / "installed.json").exists()
    if kind == "other directory":
        assert (place / "precious").read_text() == "x"


def test_a_place_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "hooks").write_text("a file where the directory should be")
    failed = install(tmp_path / "hooks" / NAME, FILES, "1", COMMAND)
    assert isinstance(failed, Failed)
    assert "\n" not in failed.reason


def test_a_failure_half_way_leaves_no_trace(place, monkeypatch):
    place.parent.mkdir()

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert isinstance(install(place, FILES, "1", COMMAND), Failed)
    assert list(place.parent.iterdir()) == []


def test_removal_takes_our_files_alone(place):
    install(place, FILES, "1", COMMAND)
    (place / "notes.txt").write_text("mine")
    assert uninstall(place, tuple(FILES)) == Removed(("notes.txt",))
    assert contents(place) == {"notes.txt": b"mine"}
    (place / "notes.txt").unlink()
    install(place, FILES, "1", COMMAND)
    assert uninstall(place, tuple(FILES)) == Removed(())
    assert not place.exists()
    assert place.parent.exists()


def test_hooks_of_a_directory_are_named_as_they_name_themselves(tmp_path):
    for name, front in {"a": 'name: "one"', "b": "description: x", "c": None, ".d": "name: hidden"}.items():
        (tmp_path / name).mkdir()
        if front is not None:
            (tmp_path / name / "HOOK.md").write_text(f"---\n{front}\n---\n")
    assert hooks_in(tmp_path) == ("one", "b")
    assert hooks_in(tmp_path / "nowhere") == ()
