"""Every recorded session, at its own pace, through the real daemon: the truth tables and the golden boxes.

One daemon per OpenClaw version follows all recordings of that version at once, in one state directory: files,
or from 2026.9 on a database that is built of the recorded rows, with a writer that holds it open.
`pytest tests/system/test_captures.py --golden=write` writes the goldens anew: read what changed before it is
committed. The truth tables are asserted all the same.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import captures
import databases
import orjson
import pytest
import pytest_asyncio
import truth
from daemon import Daemon, HealthAnswer
from databases import Databases
from recorded_rows import DatabaseCapture

from status_watcher.core.board import FIRST_TURN, box_id_of
from status_watcher.core.post import box_tag
from status_watcher.demo.captures import Capture
from status_watcher.demo.player import Cast, PlayOptions, Stores, play
from status_watcher.model import AgentId, EntryId, SessionId
from status_watcher.sandbox.server import Sandbox
from status_watcher.sandbox.store import Post, StoreEvent

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
TRUTHS = truth.load()
VERSIONS = sorted({name.partition("/")[0] for name in TRUTHS})
WITH_POSTS = [name for name in TRUTHS if TRUTHS[name].posts]
THROTTLE_S = 0.5
WATCHED_LONGER_S = 1.0
HELD_UP_S = 0.5
"""A replay that stood still for longer was not at the recordings' pace: a turn under 2 s took more."""
MOST_REPLAYS = 3
pytestmark = pytest.mark.timeout(MOST_REPLAYS * 120)

_OWN_KEY = re.compile(r"agent:main:[a-z0-9]+")
_DURATION = re.compile(r"(?<=[|\]g] )(?:\d+h \d\dm|\d+m \d\ds|\d+s)(?= \||$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shown:
    """A post as it stood in the end; `last_change_s` is on the monotonic clock."""

    post: Post
    channel: str
    root: str
    last_change_s: float


@dataclass(slots=True)
class Played:
    """One recording: who plays it, when its last step was, the posts of its boxes in order of creation."""

    cast: Cast
    tags: frozenset[str]
    places: dict[str, str]
    """Played ids of channels and threads, in the words of the truth."""
    ended_s: float = 0.0
    error: Exception | None = None
    shown: list[Shown] = field(default_factory=list)


@dataclass(slots=True)
class Stage:
    """All recordings of one version in one daemon."""

    sandbox: Sandbox
    daemon: Daemon
    played: dict[str, Played] = field(default_factory=dict)
    changed_s: dict[str, float] = field(default_factory=dict)
    deleted: list[Post] = field(default_factory=list)
    strays: list[Post] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    health: HealthAnswer | None = None
    exit_code: int | None = None
    held_up_s: float = 0.0
    """The longest that the replay stood still because the machine was busy."""

    async def watch_pace(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.1)  # a beat: how late it comes is what is asked
            self.held_up_s = max(self.held_up_s, time.monotonic() - before_s - 0.1)

    def see(self, event: StoreEvent) -> None:
        if event.post is None or event.post.user_id != self.sandbox.bot.id:
            return
        self.changed_s[event.post.id] = time.monotonic()
        if event.kind == "post_deleted":
            self.deleted.append(event.post)

    async def perform(self, name: str, capture: Capture, stores: Stores, rows: Databases) -> None:
        played = self.played[name]
        options = PlayOptions()
        try:
            if isinstance(capture, DatabaseCapture):
                await databases.play(capture, self.daemon.openclaw, options, cast=played.cast, databases=rows)
            else:
                await play(capture, self.daemon.openclaw, options, cast=played.cast, stores=stores)
        except Exception as error:  # noqa: BLE001 - told by the test of this recording; the others go on
            played.error = error
        played.ended_s = time.monotonic()

    def take_down(self) -> None:
        """Which post belongs to which recording, as they stand now: stopping the daemon changes open ones."""
        for post in self.sandbox.store.posts.values():
            if post.user_id != self.sandbox.bot.id or post.delete_at:
                continue
            tag = post.props["status_watcher"]["box"]
            owner = next((played for played in self.played.values() if tag in played.tags), None)
            if owner is None:
                self.strays.append(post)
                continue
            channel = self.sandbox.store.channels[post.channel_id]
            others = channel.members.keys() - {self.sandbox.bot.id} if channel.type == "D" else ()
            place = next(iter(others), channel.id)
            owner.shown.append(
                Shown(
                    replace(post),
                    owner.places.get(place, place),
                    owner.places.get(post.root_id, post.root_id),
                    self.changed_s[post.id],
                )
            )


def cast_of(name: str, number: int, capture: Capture, sandbox: Sandbox) -> Played:
    """Ids, keys and places of its own for a recording, so that several can play in one directory."""
    store = sandbox.store
    rename = captures.fresh_ids(capture, name)
    places: dict[str, str] = {}
    recorded_keys = {key for change in capture.store for key in change.entries}
    for key in recorded_keys:
        if _OWN_KEY.fullmatch(key) and name != "2026.2.26/mm-dm":  # one of them plays agent:main:main itself
            rename[key] = f"{key[:-2]}{number:02d}"
    for expected in TRUTHS[name].posts:
        if expected.channel in rename or expected.channel == "default":
            continue
        kind, _, user_id = expected.channel.rpartition(":")
        if kind == "direct":
            played_id = store.add_user(f"person-{number}").id
            places[played_id] = expected.channel
            rename[user_id] = played_id
            continue
        members = (sandbox.bot.id, sandbox.person.id)
        channel = store.add_channel(f"channel-{number}", members=members)
        rename[expected.channel] = channel.id
        places[channel.id] = expected.channel
        if expected.root:
            root = store.post_as(sandbox.person.id, channel.id, "where the thread begins")
            rename[expected.root] = root.id
            places[root.id] = expected.root
    return Played(Cast(rename), _tags(capture, rename), places)


def _tags(capture: Capture, rename: dict[str, str]) -> frozenset[str]:
    """Of every box that the sessions could have: one for each line, and one for a turn without lines."""
    agent = AgentId(capture.agent)
    sessions = {e["sessionId"] for change in capture.store for e in change.entries.values()}
    tags = {_tag(agent, rename.get(session, session), FIRST_TURN) for session in sessions}
    for content in capture.files.values():
        entries = [orjson.loads(line) for line in content.splitlines()]
        session = next(entry["id"] for entry in entries if entry["type"] == "session")
        tags |= {_tag(agent, rename.get(session, session), EntryId(entry["id"])) for entry in entries}
    return frozenset(tags)


def _tag(agent: AgentId, session: str, turn: EntryId) -> str:
    return box_tag(box_id_of((agent, SessionId(session)), turn))


async def _show(version: str, root: Path) -> Stage:
    """Replay all recordings of a version at once, and watch until the last of them has to have settled."""
    names = [name for name in TRUTHS if name.startswith(f"{version}/")]
    async with Sandbox() as sandbox, AsyncExitStack() as stack:
        default = sandbox.store.add_channel("default", members=(sandbox.bot.id, sandbox.person.id))
        daemon = Daemon(root, sandbox, DEFAULT_CHANNEL=default.id, MAX_ACTIVE_SESSIONS="200")
        stack.push_async_callback(daemon.close)
        stage = Stage(sandbox, daemon)
        recordings = {name: captures.load(name) for name in names}
        for number, (name, capture) in enumerate(recordings.items()):
            stage.played[name] = cast_of(name, number, capture, sandbox)
            stage.played[name].places[default.id] = "default"
        sandbox.store.subscribe(stage.see)
        stores, rows = Stores(), Databases(daemon.openclaw)
        stack.callback(rows.close)
        if any(isinstance(capture, DatabaseCapture) for capture in recordings.values()):
            # As a gateway of that version leaves it at its first start: a database, no directory of files.
            rows.of("main")
            daemon.sessions_dir.rmdir()
        await daemon.start()
        pace = asyncio.create_task(stage.watch_pace())
        stack.callback(pace.cancel)
        async with asyncio.TaskGroup() as tasks:
            for name, capture in recordings.items():
                tasks.create_task(stage.perform(name, capture, stores, rows), name=name)
        settled_s = max(stage.played[name].ended_s + TRUTHS[name].settles_s for name in names)
        # Not for something to happen: the tables say after when nothing may any more.
        await asyncio.sleep(settled_s + WATCHED_LONGER_S - time.monotonic())
        stage.take_down()
        stage.violations = sandbox.violations(THROTTLE_S)
        stage.health = await daemon.health()
        stage.exit_code = await daemon.stop()
        return stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages(tmp_path_factory) -> AsyncIterator[dict[str, Stage]]:
    """Every version's stage; they play side by side, in about as long as the longest recording takes.

    Once more where the machine was too busy to play them as they were.
    """
    shown: list[Stage] = []
    for _ in range(MOST_REPLAYS):
        roots = {version: tmp_path_factory.mktemp(version) for version in VERSIONS}
        shown = await asyncio.gather(*(_show(version, root) for version, root in roots.items()))
        if max(stage.held_up_s for stage in shown) < HELD_UP_S:
            break
    yield dict(zip(VERSIONS, shown, strict=True))


@pytest.fixture
def played(stages, name) -> Played:
    return stages[name.partition("/")[0]].played[name]


def _normalised(message: str) -> str:
    """Without durations: they are those of the replay, whose pauses are shortened."""
    return _DURATION.sub("<time>", message)


@pytest.mark.parametrize("name", TRUTHS)
def test_the_channels_have_the_boxes_that_were_written_down(name, played):
    assert played.error is None
    expected = TRUTHS[name].posts
    texts = "\n\n".join(shown.post.message for shown in played.shown)
    assert [(shown.channel, shown.root) for shown in played.shown] == [
        (p.channel, p.root) for p in expected
    ], texts
    lacking = [truth.problems(p, shown.post.message) for p, shown in zip(expected, played.shown, strict=True)]
    assert not any(lacking), f"{lacking}\n{texts}"


@pytest.mark.parametrize("name", WITH_POSTS)
def test_boxes_settle_in_time(name, played):
    limit_s = played.ended_s + TRUTHS[name].settles_s
    late = [
        f"{shown.last_change_s - played.ended_s:.1f} s after the end: {shown.post.message}"
        for expected, shown in zip(TRUTHS[name].posts, played.shown, strict=True)
        if expected.word != "ACTIVE" and shown.last_change_s > limit_s
    ]
    assert not late


@pytest.mark.parametrize("name", WITH_POSTS)
def test_boxes_read_as_the_golden_does(name, played, request):
    golden = GOLDEN / f"{name}.txt"
    parts = [
        f"--- {shown.channel}{f' / {shown.root}' if shown.root else ''}\n{_normalised(shown.post.message)}\n"
        for shown in played.shown
    ]
    text = "\n".join(parts)
    if request.config.getoption("golden", default="check") == "write":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_golden_belongs_to_a_capture_with_posts():
    found = [path.relative_to(GOLDEN).as_posix().removesuffix(".txt") for path in GOLDEN.glob("*/*.txt")]
    assert sorted(found) == sorted(WITH_POSTS)


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_posted_elsewhere_or_deleted_or_edited_without_need(version, stages):
    stage = stages[version]
    assert [post.message for post in stage.strays] == []
    assert [post.message for post in stage.deleted] == []
    assert stage.violations == []
    posts = [shown.post for played in stage.played.values() for shown in played.shown]
    assert {post.type for post in posts} == {"custom_status_watcher"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_daemon_stays_well_understands_every_line_and_ends_with_0(version, stages):
    stage = stages[version]
    assert stage.health is not None
    assert (stage.health.status, stage.health.problems) == ("ok", [])
    not_understood = {
        name: count
        for name, count in stage.health.counters.items()
        if count
        and (name.startswith(("skipped_", "overlong_")) or name in {"news_not_understood", "nul_bytes"})
    }
    assert not_understood == {}
    assert [line for line in stage.daemon.lines() if line["level"] in {"warning", "error"}] == []
    assert stage.exit_code == 0
