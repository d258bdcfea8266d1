"""Pending approvals, out of real databases with the schema of a live gateway (2026.9.6)."""

import asyncio
import sqlite3

import pytest
from databases import DATA, ApprovalsWriter
from recorded_rows import ApprovalRow as Recorded
from recorded_rows import load

from status_watcher.core.elsewhere import ApprovalRow, ApprovalStatus
from status_watcher.edge.database_approvals import (
    STATE_DATABASE,
    ApprovalsDatabase,
    state_dir_of,
    watch_approvals,
)
from status_watcher.model import SessionKey, ToolCallId

CAPTURE = load(DATA / "approval-wait")
PENDING, ALLOWED = CAPTURE.approvals[0], CAPTURE.approvals[1]


def as_read(row: Recorded) -> ApprovalRow:
    columns = row.columns
    return ApprovalRow(
        SessionKey(columns["source_session_key"]),
        ToolCallId(columns["source_tool_call_id"]),
        ApprovalStatus.PENDING,
        columns["created_at_ms"],
        columns["expires_at_ms"],
    )


@pytest.fixture
def gateway(tmp_path):
    writer = ApprovalsWriter(tmp_path)
    yield writer
    writer.close()


def test_the_recording_begins_with_one_that_is_pending_and_then_allowed():
    assert [row.columns["status"] for row in CAPTURE.approvals] == ["pending", "allowed"] * 2


def test_an_approval_is_there_while_it_is_pending(tmp_path, gateway):
    database = ApprovalsDatabase(tmp_path)
    assert database.pending(0) == ()
    gateway.put(PENDING)
    assert database.pending(1) == (as_read(PENDING),)
    assert database.pending(2) == (as_read(PENDING),)
    gateway.put(ALLOWED)
    assert database.pending(3) == ()


def test_without_a_database_nothing_is_pending_and_nothing_is_made(tmp_path):
    assert ApprovalsDatabase(tmp_path).pending(0) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_that_table_says_nothing(tmp_path):
    """As 2026.7.1 may have it."""
    path = tmp_path / STATE_DATABASE
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE subagent_runs (run_id TEXT)")
    db.close()
    assert ApprovalsDatabase(tmp_path).pending(0) == ()


def test_columns_of_other_types_are_no_approvals(tmp_path, gateway):
    without_call = PENDING.columns | {"source_tool_call_id": None, "approval_id": "other"}
    gateway.put(Recorded(0, without_call))
    gateway.put(PENDING)
    assert ApprovalsDatabase(tmp_path).pending(0) == (as_read(PENDING),)


def test_a_database_that_has_gone_is_believed_for_a_moment(tmp_path, gateway):
    database = ApprovalsDatabase(tmp_path)
    gateway.put(PENDING)
    assert database.pending(0) == (as_read(PENDING),)
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    assert database.pending(1) == (as_read(PENDING),)
    assert database.pending(3.1) == ()
    (tmp_path / "elsewhere").rename(tmp_path / "state")
    assert database.pending(4) == (as_read(PENDING),)


def test_a_gateway_that_was_stopped_leaves_what_it_wrote(tmp_path, gateway):
    gateway.put(PENDING)
    gateway.close()
    assert ApprovalsDatabase(tmp_path).pending(0) == (as_read(PENDING),)


@pytest.mark.parametrize("below", ["", "agents", "agents/main/sessions"])
def test_the_state_directory_is_found_from_what_may_be_watched(tmp_path, below):
    assert state_dir_of(tmp_path / below) == tmp_path


async def test_each_change_is_told_once(tmp_path, gateway):
    told = asyncio.Queue()
    task = asyncio.create_task(watch_approvals(tmp_path, told.put_nowait))
    try:
        gateway.put(PENDING)
        assert await asyncio.wait_for(told.get(), 5) == (as_read(PENDING),)
        gateway.put(ALLOWED)
        assert await asyncio.wait_for(told.get(), 5) == ()
        assert told.empty()
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
