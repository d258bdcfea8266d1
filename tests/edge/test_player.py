"""The player: a capture is replayed as it was recorded, at another time and pace."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PurePosixPath

import captures
import pytest
import truth

from status_watcher.demo.captures import DEMO, Capture, load_demo
from status_watcher.demo.player import (
    Append,
    Cast,
    Delete,
    PlayOptions,
    Rename,
    Replace,
    ReplayMismatchError,
    Route,
    SaveStore,
    Step,
    Stores,
    Truncate,
    plan,
    play,
)

AT_ONCE = PlayOptions(speed=100_000)
START_MS = 1_800_000_000_000
STATE_DIR = Path("/srv/openclaw")
STORE = "agents/main/sessions/sessions.json"
EVERY_CAPTURE = pytest.mark.parametrize("name", captures.names_of_files())


def planned(capture: Capture, cast: Cast | None = None) -> tuple[Step, ...]:
    return plan(capture, PlayOptions(), start_ms=START_MS, state_dir=STATE_DIR, cast=cast)


def transcripts(capture: Capture) -> dict[str, bytes]:
    return {name: data for name, data in capture.files.items() if not name.startswith("earlier/")}


def on_disk(state_dir: Path) -> dict[str, bytes]:
    files = [path for path in state_dir.rglob("*") if path.is_file()]
    return {path.relative_to(state_dir).as_posix(): path.read_bytes() for path in files}


def written_lines(steps: tuple[Step, ...]) -> Iterator[tuple[float, dict]]:
    for step in steps:
        if isinstance(step, Append) and step.data.endswith(b"\n"):
            for raw in step.data.splitlines():
                if raw.startswith(b'{"type"'):  # else the rest of a rewrite that was seen halfway
                    yield step.at_s, json.loads(raw)


def epoch_ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


# plan


@EVERY_CAPTURE
def test_a_plan_is_pure_and_in_order(name):
    capture = captures.load(name)
    steps = planned(capture)
    assert steps == planned(capture)
    assert [step.at_s for step in steps] == sorted(step.at_s for step in steps)


@EVERY_CAPTURE
def test_no_pause_of_a_plan_is_longer_than_allowed_and_short_ones_are_kept(name):
    capture = captures.load(name)
    at_s = [step.at_s for step in planned(capture)]
    assert max(after - before for before, after in pairwise(at_s)) <= 2.0 + 1e-9
    assert at_s[-1] <= capture.duration_ms / 1000 + 1.0


def test_speed_divides_every_time():
    capture = load_demo("tools")
    slow = planned(capture)
    fast = plan(capture, PlayOptions(speed=4), start_ms=START_MS, state_dir=STATE_DIR)
    assert [step.at_s for step in fast] == pytest.approx([step.at_s / 4 for step in slow])


@EVERY_CAPTURE
def test_every_planned_size_follows_from_the_steps_before(name):
    sizes: dict[PurePosixPath, int] = {}
    for step in planned(captures.load(name)):
        match step:
            case Append():
                sizes[step.path] = sizes.get(step.path, 0) + len(step.data)
                assert sizes[step.path] == step.size_bytes
            case Truncate():
                assert step.size_bytes <= sizes[step.path]
                sizes[step.path] = step.size_bytes
            case Replace():
                sizes[step.path] = step.size_bytes
            case Rename():
                sizes[step.to] = sizes.pop(step.path)
            case Delete():
                del sizes[step.path]
            case SaveStore():
                pass


@EVERY_CAPTURE
def test_every_line_is_written_at_its_own_time(name):
    """Lines of the run itself: not of a rewrite, nor a fork's copy, nor a backlog that was flushed late."""
    seen = set()
    for at_s, line in written_lines(planned(captures.load(name))):
        if line["id"] in seen or at_s == 0.0 or line["type"] == "session":
            continue
        seen.add(line["id"])
        assert epoch_ms(line["timestamp"]) <= START_MS + at_s * 1000 + 2
    assert seen


def test_a_line_and_its_message_keep_the_time_between_them():
    lines = [line for _, line in written_lines(planned(load_demo("tools")))]
    final = next(line for line in lines if line.get("message", {}).get("stopReason") == "stop")
    assert epoch_ms(final["timestamp"]) - final["message"]["timestamp"] == pytest.approx(2984 - 2708, abs=2)


@EVERY_CAPTURE
def test_shifted_lines_keep_their_length_and_their_words(name):
    capture = captures.load(name)
    shifted = b"".join(step.data for step in planned(capture) if isinstance(step, Append | Replace))
    kept = plan(capture, PlayOptions(shift_to_now=False), start_ms=START_MS, state_dir=STATE_DIR)
    recorded = b"".join(step.data for step in kept if isinstance(step, Append | Replace))
    assert len(shifted) == len(recorded)
    times = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]{12}Z|(?<=[:\[,])\d{13}(?=[,}\]])")
    assert times.sub(b"", shifted) == times.sub(b"", recorded)
    assert times.findall(shifted) != times.findall(recorded)


def test_a_store_times_are_shifted_with_the_lines():
    steps = [step for step in planned(load_demo("tools")) if isinstance(step, SaveStore)]
    entry = steps[-1].entries.get("agent:main:tools") or next(
        step.entries["agent:main:tools"] for step in reversed(steps) if step.entries
    )
    assert entry["startedAt"] - START_MS == pytest.approx(146, abs=2)
    assert entry["endedAt"] - START_MS == pytest.approx(3020, abs=2)
    assert entry["sessionFile"].startswith(f"{STATE_DIR}/agents/main/sessions/")


def test_older_gateways_append_line_by_line_and_newer_ones_in_one_write():
    old = [step for step in planned(captures.load("2026.2.26/simple-turn")) if isinstance(step, Append)]
    new = [step for step in planned(captures.load("2026.7.1/simple-turn")) if isinstance(step, Append)]
    assert [step.data.count(b"\n") for step in old] == [1] * 6
    assert next(step.data.count(b"\n") for step in new if step.data) == 6


def test_a_rewrite_seen_halfway_stops_within_a_line():
    steps = [step for step in planned(load_demo("compact-command")) if isinstance(step, Append)]
    halfway = [step for step in steps if step.data and not step.data.endswith(b"\n")]
    assert len(halfway) == 1
    assert steps[steps.index(halfway[0]) + 1].data.endswith(b"\n")


# play


@EVERY_CAPTURE
async def test_a_replay_leaves_the_files_of_the_capture_in_their_recorded_lengths(name, tmp_path):
    capture = captures.load(name)
    played = await play(capture, tmp_path, AT_ONCE)
    left = on_disk(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in played.files} == set(left)
    del left[STORE]
    assert {name: len(data) for name, data in left.items()} == {
        name: len(data) for name, data in transcripts(capture).items()
    }


@pytest.mark.parametrize("name", [n for n in captures.names_of_files() if captures.DATA.joinpath(n).exists()])
async def test_a_replay_ends_with_the_recorded_store(name, tmp_path):
    options = PlayOptions(speed=100_000, shift_to_now=False)
    await play(captures.load(name), tmp_path, options)
    recorded = (captures.DATA / name / STORE).read_text(encoding="utf-8")
    expected = json.loads(recorded.replace("/home/node/.openclaw", str(tmp_path)))
    found = json.loads((tmp_path / STORE).read_bytes())
    assert set(found) == set(expected)
    for key, entry in expected.items():
        for field in ("sessionId", "sessionFile", "status", "startedAt", "endedAt", "spawnedBy", "lastTo"):
            assert found[key].get(field) == entry.get(field), (key, field)


async def test_a_rewrite_in_place_keeps_the_inode_and_passes_through_a_shorter_file(tmp_path):
    seen: dict[str, list[tuple[int, int]]] = {}

    def look(step: Step) -> None:
        if isinstance(step, Append | Truncate):
            stat = (tmp_path / step.path).stat()
            seen.setdefault(step.path.name, []).append((stat.st_ino, stat.st_size))

    await play(load_demo("compact-command"), tmp_path, AT_ONCE, on_step=look)
    (states,) = seen.values()
    sizes = [size for _, size in states]
    assert len({inode for inode, _ in states}) == 1
    assert sum(after < before for before, after in pairwise(sizes)) >= 8
    assert sizes[-1] == max(sizes)


async def test_a_store_rename_changes_the_inode_and_leaves_no_temporary_file(tmp_path):
    inodes = []

    def look(step: Step) -> None:
        if isinstance(step, SaveStore):
            inodes.append((tmp_path / STORE).stat().st_ino)

    await play(load_demo("tools"), tmp_path, AT_ONCE, on_step=look)
    assert all(before != after for before, after in pairwise(inodes))
    assert not list(tmp_path.rglob("*.tmp"))
    assert (tmp_path / STORE).stat().st_mode & 0o777 == 0o600


async def test_a_repair_changes_the_inode(tmp_path):
    inodes = []

    def look(step: Step) -> None:
        if isinstance(step, Append | Replace) and step.path.suffix == ".jsonl":
            inodes.append((type(step), (tmp_path / step.path).stat().st_ino))

    await play(captures.load("2026.7.1/error-500"), tmp_path, AT_ONCE, on_step=look)
    (repair,) = [index for index, (kind, _) in enumerate(inodes) if kind is Replace]
    before, after = {inode for _, inode in inodes[:repair]}, {inode for _, inode in inodes[repair:]}
    assert len(before) == len(after) == 1
    assert before != after


async def test_an_archive_keeps_the_inode_of_its_transcript(tmp_path):
    inodes = set()

    def look(step: Step) -> None:
        if isinstance(step, Append):
            inodes.add((tmp_path / step.path).stat().st_ino)

    await play(captures.load("2026.7.1/session-delete"), tmp_path, AT_ONCE, on_step=look)
    (archive,) = (tmp_path / "agents/main/sessions").glob("*.jsonl.deleted.*")
    assert {archive.stat().st_ino} == inodes


async def test_two_captures_at_once_share_one_store(tmp_path):
    stores = Stores()
    await play(load_demo("tools"), tmp_path, AT_ONCE, stores=stores)
    await play(load_demo("subagents-two"), tmp_path, AT_ONCE, stores=stores)
    keys = set(json.loads((tmp_path / STORE).read_bytes()))
    assert {"agent:main:tools", "agent:main:spawn"} < keys
    assert len(keys) == 4


async def test_the_same_capture_can_be_played_twice_under_fresh_ids(tmp_path):
    capture = load_demo("subagents-two")
    again = Cast(
        rename=captures.fresh_ids(capture, "again"),
        routes={"agent:main:spawn": Route("channelbxxxxxxxxxxxxxxxxxx")},
    )
    stores = Stores()
    await play(capture, tmp_path, AT_ONCE, stores=stores)
    await play(capture, tmp_path, AT_ONCE, stores=stores, cast=again)
    assert len(list((tmp_path / "agents/main/sessions").glob("*.jsonl"))) == 6
    assert len(json.loads((tmp_path / STORE).read_bytes())) == 6


async def test_bytes_of_somebody_else_are_noticed(tmp_path):
    capture = load_demo("tools")
    transcript = tmp_path / next(iter(transcripts(capture)))
    transcript.parent.mkdir(parents=True)
    transcript.write_bytes(b"{}\n")
    with pytest.raises(ReplayMismatchError):
        await play(capture, tmp_path, AT_ONCE)


# another cast


def test_a_routed_session_and_all_below_it_go_to_the_channel():
    capture = captures.load("2026.3.31/subagents-nested")
    cast = Cast(routes={"agent:main:nest": Route("channelaxxxxxxxxxxxxxxxxxx", "rootpostaxxxxxxxxxxxxxxxxx")})
    entries = {}
    for step in planned(capture, cast):
        if isinstance(step, SaveStore):
            entries |= step.entries
    root = "agent:main:mattermost:channel:channelaxxxxxxxxxxxxxxxxxx:thread:rootpostaxxxxxxxxxxxxxxxxx"
    assert "agent:main:nest" not in entries
    assert len(entries) == 3
    assert {entry.get("spawnedBy") for entry in entries.values()} >= {None, root}
    for entry in entries.values():
        assert entry["deliveryContext"]["to"] == "channel:channelaxxxxxxxxxxxxxxxxxx"
        assert entry["lastThreadId"] == "rootpostaxxxxxxxxxxxxxxxxx"


def test_renamed_ids_stand_everywhere():
    capture = captures.load("2026.7.1/mm-channel")
    cast = Cast(rename={"chanpub1xxxxxxxxxxxxxxxxxx": "townsquareaaaaaaaaaaaaaaaa"})
    told = repr(planned(capture, cast))
    assert "chanpub1" not in told
    assert "agent:main:mattermost:channel:townsquareaaaaaaaaaaaaaaaa" in told


def test_a_renamed_id_of_another_length_is_refused():
    with pytest.raises(ValueError, match="length"):
        Cast(rename={"short": "longer"})


# the data


@pytest.mark.parametrize("name", DEMO)
def test_the_demo_captures_travel_in_the_package(name):
    assert load_demo(name).version == captures.DEMO_VERSION


def test_every_capture_has_its_truth():
    assert set(truth.load()) == set(captures.names())


def test_a_truth_reads_a_box_without_its_markdown():
    box = (
        "[DONE] main | 53s\n> exec: `echo one\u2060; x` \\[OK\\] 2s\n> > exec: `false` [ERR 1]\n\n[DONE] 53s"
    )
    wanted = truth.PostTruth(
        channel="default",
        root="",
        word="DONE",
        lines=("exec … echo one; x … [OK]",),
        not_lines=("[OK] … [ERR",),
        ok=1,
        err=1,
        agent="main",
        history=(),
        why="",
    )
    assert truth.problems(wanted, box) == []
    assert truth.problems(wanted, "[ERROR] other") != []
