"""The real daemon over both kinds of store: an agent migrated under it, and what its box is called."""

import json
import time

import pytest
from daemon import Daemon, box_says, boxes, during, eventually
from databases import DatabaseWriter
from gateway import Gateway, Session
from recorded_rows import EventRow, NodeRow

from status_watcher.sandbox.server import Sandbox

SHOWN_WITHIN_S = 15.0


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


class Imported:
    """A session of a file-backed gateway, and the database into which 2026.9.6 imports it at its start."""

    def __init__(self, session: Session, writer: DatabaseWriter):
        self.session = session
        self.writer = writer
        self.seq = 0

    def take_over(self):
        """One commit with everything; then the files are moved, the index last."""
        rows = self._new_rows()
        index = json.loads(self.session.gateway.index.read_text())
        self.writer.commit(self._node(index[self.session.key]), *rows)
        archive = self.session.gateway.sessions_dir.parent / "session-sqlite-import-archive"
        archive.mkdir()
        self.session.path.rename(archive / f"{self.session.path.name}.imported-1")
        self.session.gateway.index.rename(archive / "legacy-store.sessions.json.imported-1")

    def goes_on(self, *, status: str):
        """What the session wrote since, into a file that nobody watches, as rows."""
        entry = {"sessionId": self.session.id, "updatedAt": now_ms(), "status": status}
        self.writer.commit(*self._new_rows(), self._node(entry))

    def _new_rows(self):
        lines = self.session.path.read_bytes().splitlines()
        rows = []
        for line in lines:
            event = json.loads(line)
            if self.seq and event["type"] == "session":
                continue
            rows.append(EventRow(0, self.session.id, self.seq, now_ms(), event))
            self.seq += 1
        return rows

    def _node(self, entry):
        return NodeRow(0, self.session.key, self.session.id, entry, entry["updatedAt"], entry.get("status"))


def now_ms():
    return time.time_ns() // 1_000_000


async def test_a_turn_that_runs_while_its_agent_is_migrated_goes_on_in_the_same_post(
    daemon, sandbox: Sandbox
):
    await daemon.start()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    call = session.begin(command="make release")
    post = await eventually(box_says(sandbox, "ACTIVE", "make release"), SHOWN_WITHIN_S)
    writer = DatabaseWriter(daemon.openclaw)
    imported = Imported(session, writer)
    imported.take_over()
    session.path = daemon.openclaw / "later.jsonl"
    await during(2, lambda: bool(box_says(sandbox, "ACTIVE", "make release")()), "the move ends nothing")
    session.result(call)
    session.answer("All done.")
    imported.goes_on(status="done")
    done = await eventually(box_says(sandbox, "DONE", "make release", "[OK]"), SHOWN_WITHIN_S)
    assert done.id == post.id
    assert (await daemon.health()).document["stores"] == {"main": "sqlite, schema 23 (OpenClaw 2026.9.6)"}
    assert (await daemon.health()).document["status"] == "ok"
    writer.close()


async def test_boxes_bear_the_configured_name_of_their_agent_and_the_new_one_when_it_changes(
    daemon, sandbox: Sandbox
):
    config = daemon.openclaw / "openclaw.json"
    config.write_text('{agents: {list: [{id: "main", name: "Release Engineer"}]}} // by hand')
    await daemon.start()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    session.begin()
    await eventually(box_says(sandbox, "ACTIVE", "Release Engineer | "), SHOWN_WITHIN_S)
    config.write_text('{agents: {entries: {main: {name: "Ada"}}}}')
    await eventually(box_says(sandbox, "ACTIVE", "[ACTIVE] Ada | "), 20)


@pytest.mark.parametrize("agent", ["lead-0b7e4c1e-5d6f-4a3b-9c8d-7e6f5a4b3c2d", "mc-gateway-0b7e4c1e"])
async def test_agents_made_while_we_run_are_shown_whatever_they_are_called(daemon, agent, sandbox: Sandbox):
    await daemon.start()
    session = Gateway(daemon.openclaw, agent).session(sandbox.channel.id)
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE", agent), SHOWN_WITHIN_S)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert len(boxes(sandbox)) == 1
