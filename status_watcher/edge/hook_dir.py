"""The hook's copy in an OpenClaw state directory: `<state>/hooks/status-watcher-hook`.

OpenClaw 2026.2 to 2026.9 load what lies there as a "managed" hook, if it is a real directory and no link. A
directory counts as ours by the name in its HOOK.md, which copies made by hand have too; files in it that we
did not put there are never touched.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import orjson

from status_watcher.edge.whole_file import replace_whole

_HOOK_MD = "HOOK.md"
_RECORD = "installed.json"
"""How to start the daemon, for the handler; and which version wrote it, for people."""
_MOST_BYTES = 1 << 20
_MOST_HOOKS = 500


class Presence(Enum):
    """What is at the hook's place."""

    ABSENT = auto()
    OURS = auto()
    FOREIGN = auto()
    """Something that this program did not make and does not touch."""


@dataclass(frozen=True, slots=True)
class HookCopy:
    """One look at the hook's place."""

    path: Path
    presence: Presence
    version: str | None = None
    """Of the program that installed it; None for a copy made by hand."""
    current: bool = False
    """The files are those of this version, and the recorded command is the one asked about."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was done, or not all of it; `reason` is one line for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Our files are gone; `left` names what else was there and stays."""

    left: tuple[str, ...]


def hook_path(state_dir: Path, name: str) -> Path:
    """Where OpenClaw looks for a managed hook of that name."""
    return state_dir / "hooks" / name


def look(path: Path, files: Mapping[str, bytes], version: str, command: Sequence[str]) -> HookCopy:
    """What is at `path`, measured by what would be installed there now."""
    wanted = {**files, _RECORD: _record(version, command)}
    try:
        if not stat.S_ISDIR(path.lstat().st_mode) or not _is_ours(path, wanted):
            return HookCopy(path, Presence.FOREIGN)
    except FileNotFoundError:
        return HookCopy(path, Presence.ABSENT)
    except OSError:
        return HookCopy(path, Presence.FOREIGN)
    current = all(_read(path / name) == content for name, content in wanted.items())
    return HookCopy(path, Presence.OURS, _version_in(_read(path / _RECORD)), current)


def install(
    path: Path, files: Mapping[str, bytes], version: str, command: Sequence[str]
) -> HookCopy | Failed:
    """Put the files in place: a new directory appears whole, in an old one each file is replaced whole."""
    wanted = {**files, _RECORD: _record(version, command)}
    found = look(path, files, version, command)
    try:
        match found.presence:
            case Presence.FOREIGN:
                return Failed(f"{path} is not this hook; move it away, or name another state directory")
            case Presence.ABSENT:
                new_parent = not path.parent.exists()
                path.parent.mkdir(mode=0o755, exist_ok=True)
                _make_whole(path, wanted)
                if new_parent:
                    _give_to_owner_of(path.parent.parent, [path.parent])
            case Presence.OURS if not found.current:
                # What OpenClaw reads first comes last.
                for name in sorted(wanted, key=lambda name: name == _HOOK_MD):
                    replace_whole(path / name, wanted[name])
            case Presence.OURS:
                pass
        _give_to_owner_of(path.parent.parent, [path, *(path / name for name in wanted)])
    except OSError as error:
        return Failed(f"{path}: {error.strerror or error} (as uid {os.geteuid()})")
    return look(path, files, version, command)


def uninstall(path: Path, names: Sequence[str]) -> Removed | Failed:
    """Remove our files, and the directory if nothing else is in it."""
    try:
        for name in sorted((*names, _RECORD), key=lambda name: name != _HOOK_MD):
            (path / name).unlink(missing_ok=True)
        left = tuple(sorted(entry.name for entry in path.iterdir()))
        if not left:
            path.rmdir()
    except OSError as error:
        return Failed(f"{path}: {error.strerror or error} (as uid {os.geteuid()})")
    return Removed(left)


def hooks_in(directory: Path) -> tuple[str, ...]:
    """The names of the hooks in a directory that OpenClaw searches for them, in order."""
    try:
        found = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))[:_MOST_HOOKS]
    except OSError:
        return ()
    fronts = {entry.name: _read(entry / _HOOK_MD) for entry in found}
    return tuple(_name_in(front) or name for name, front in fronts.items() if front is not None)


def _is_ours(path: Path, wanted: Mapping[str, bytes]) -> bool:
    front = _read(path / _HOOK_MD)
    if front is not None:
        return _name_in(front) == path.name
    # An installation or removal that was cut short.
    return {entry.name for entry in path.iterdir()} <= wanted.keys()


def _make_whole(path: Path, contents: Mapping[str, bytes]) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    beside.mkdir(mode=0o755)
    try:
        for name in sorted(contents, key=lambda name: name == _HOOK_MD):
            replace_whole(beside / name, contents[name])
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _give_to_owner_of(state_dir: Path, paths: Sequence[Path]) -> None:
    """What root makes in somebody's state directory is theirs: gateways distrust other people's code."""
    owner = state_dir.stat()
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _record(version: str, command: Sequence[str]) -> bytes:
    return orjson.dumps({"version": version, "command": list(command)}, option=orjson.OPT_APPEND_NEWLINE)


def _version_in(record: bytes | None) -> str | None:
    try:
        fields = orjson.loads(record or b"")
    except orjson.JSONDecodeError:
        return None
    version = fields.get("version") if isinstance(fields, dict) else None
    return version if isinstance(version, str) and len(version) <= 40 and version.isprintable() else None


def _name_in(front: bytes) -> str | None:
    """The name in HOOK.md's front matter."""
    return next(
        (
            line.removeprefix("name:").strip().strip("\"'")
            for line in front.decode("utf-8", "replace").splitlines()[:20]
            if line.startswith("name:")
        ),
        None,
    )


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return None
