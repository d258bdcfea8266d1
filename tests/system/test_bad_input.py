"""Input that nobody should write, through the real daemon: skipped, counted, told; nothing else suffers."""

import asyncio
import time
from pathlib import Path

import pytest
from daemon import Daemon, box_says, boxes, during, eventually
from gateway import Gateway, tear

SHOWN_WITHIN_S = 15.0
TWO_LOOKS_S = 6.5
"""Longer than the 5 s that two looks at the store must be apart before a missing entry means anything."""
MARKER = "xyzzy-never-to-be-logged"


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon(LOG_LEVEL="debug")


@pytest.fixture
def gateway(daemon) -> Gateway:
    return Gateway(daemon.openclaw)


@pytest.fixture
def session(gateway, sandbox):
    return gateway.session(sandbox.channel.id)


def problem_lines(daemon: Daemon) -> list[dict]:
    return [line for line in daemon.lines() if line["level"] in {"warning", "error", "critical"}]


# Lines

MARKED = MARKER.encode()
STAMP = b'"timestamp":"2026-11-20T15:12:40.269Z"'
BAD_LINES = [
    # no JSON
    b"no json at all " + MARKED,
    b'{"type":"message","id":"torn in the middle ' + MARKED,
    b'{"type":"message"} {"type":"message"}',
    b"\xef\xbb\xbf{}",
    b'{"type":"message","id":"u",'
    + STAMP
    + b',"message":{"role":"user","content":"\xff\xfe '
    + MARKED
    + b'"}}',
    b'{"type":"message","id":"s",' + STAMP + b',"message":{"role":"user","content":"\\ud83d lone"}}',
    b"\x89PNG\r\x1a" + bytes(range(1, 10)) + bytes(range(11, 256)),
    b"[" * 2000 + b"]" * 2000,
    b'{"n":NaN}',
    # no object
    b"123",
    b"null",
    b'"' + MARKED + b'"',
    b"[1,2]",
    b"[" * 900 + b"]" * 900,
    # fields of other types than they have
    b'{"type":"message"}',
    b'{"type":"message","message":"' + MARKED + b'"}',
    b'{"type":"message","id":"a","message":{"role":"user","content":"no time"}}',
    b'{"type":"message","id":7,' + STAMP + b',"message":{"role":"user","content":"x"}}',
    b'{"type":"message","id":"b","timestamp":"' + MARKED + b'","message":{"role":"user","content":"x"}}',
    b'{"type":"message","id":"c","timestamp":1e400,"message":{"role":"assistant","content":[]}}',
    b'{"type":"message","id":"d",' + STAMP + b',"message":{"role":"toolResult"}}',
]


async def test_T10_bad_lines_are_skipped_and_counted_and_later_lines_work(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.raw(b"\n\n".join((*BAD_LINES, b"")))
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "[OK]", "All done."), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer is not None
    assert answer.http_status == 200
    skipped = {name: count for name, count in answer.counters.items() if name.startswith("skipped_")}
    assert sum(skipped.values()) == len(BAD_LINES), skipped
    assert (
        min(skipped.get(f"skipped_{reason}", 0) for reason in ("not_json", "not_an_object", "wrong_fields"))
        > 0
    )
    assert MARKER not in daemon.log.read_text()


async def test_T9_a_hole_of_nul_bytes_is_stepped_over(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.raw(bytes(70_000))
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "[OK]"), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer is not None
    assert answer.counters["nul_bytes"] == 70_000


async def test_an_oversized_line_is_skipped_and_costs_no_memory(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    before_kb = resident_kb(daemon.pid)
    session.raw(b'{"type":"message","text":"')
    for _ in range(50):
        session.raw(b"x" * (1 << 20))
    session.raw(b'"}\n')
    asked_s = time.monotonic()
    assert await daemon.health() is not None
    assert time.monotonic() - asked_s < 0.25
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "[OK]"), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer is not None
    assert answer.counters["overlong_lines"] == 1
    assert resident_kb(daemon.pid) - before_kb < 40 * 1024


async def test_T1_a_line_written_byte_by_byte_is_one_line(daemon, session, sandbox):
    await daemon.start()
    session.store(status="running")
    blocks = [{"type": "toolCall", "id": "call_x", "name": "exec", "arguments": {"command": "é 🙂 ok"}}]
    for entry in (
        {"role": "user", "content": "work"},
        {"role": "assistant", "content": blocks, "stopReason": "toolUse"},
    ):
        line = session.line({"type": "message", "message": entry})
        for at in range(0, len(line), 7):
            session.raw(line[at : at + 7])
            await asyncio.sleep(0)  # each piece a write of its own, and the sandbox served in between
    box = await eventually(box_says(sandbox, "ACTIVE", "é 🙂 ok"), SHOWN_WITHIN_S)
    assert box.message.count("🙂") == 1
    answer = await daemon.health()
    assert answer is not None
    assert answer.counters.get("skipped_not_json", 0) == 0


async def test_unknown_types_roles_blocks_and_tools_are_ignored_or_shown_plainly(daemon, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.result(call)
    for entry in (
        {"type": "quantum_leap", "payload": {"deep": [1, {"x": None}]}},
        {"type": "custom", "customType": "of-another-plugin", "data": 7},
        {"type": 5},
        {"type": "message", "message": {"role": "oracle", "content": "says nothing"}},
        {
            "type": "message",
            "message": {"role": "assistant", "content": [{"type": "hologram", "data": "x"}, 3]},
        },
        {"type": "message", "message": {"role": "assistant", "content": None, "stopReason": "cosmic"}},
    ):
        session.raw(session.line(entry))
    call = session.call("frobnicate_all", knob=11, target="the thing")
    box = await eventually(box_says(sandbox, "ACTIVE", "running"), SHOWN_WITHIN_S)
    await eventually(lambda: "frobnicate" in box.message.lower().replace("\\", ""), SHOWN_WITHIN_S)
    session.result(call, tool="frobnicate_all")
    session.answer("All done.")
    done = await eventually(box_says(sandbox, "DONE", "All done."), SHOWN_WITHIN_S)
    assert done.message.count("[OK]") == 2
    assert "says nothing" not in done.message


# The store


async def test_S1_S2_S3_a_torn_or_missing_store_never_closes_a_box(daemon, gateway, session, sandbox):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    good = gateway.index.read_bytes()

    def open_still() -> bool:
        return bool(box_says(sandbox, "ACTIVE")())

    for damaged in (good[: len(good) // 2], b"", b"[]", b"\0" * len(good), b"{", good[:-1] + b"garbage"):
        tear(gateway.index, damaged)
        await during(0.3, open_still, f"closed by {damaged[:40]!r}")
    gateway.index.unlink()
    await during(0.3, open_still, "closed by a missing store")
    tear(gateway.index, b"{}")
    await during(TWO_LOOKS_S, open_still, "closed by an empty store though its transcript is there")
    tear(gateway.index, good)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "[OK]"), SHOWN_WITHIN_S)


async def test_S1_a_store_that_is_torn_at_the_start_closes_no_box_of_the_run_before(
    daemon, gateway, session, sandbox
):
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    await daemon.kill()
    good = gateway.index.read_bytes()
    tear(gateway.index, good[: len(good) // 2])
    session.result(call)
    call = session.call("exec", command="after the restart")
    await daemon.start()
    await eventually(box_says(sandbox, "ACTIVE", "after the restart"), SHOWN_WITHIN_S)
    tear(gateway.index, good)
    session.finish(call)
    await eventually(box_says(sandbox, "DONE", "after the restart"), SHOWN_WITHIN_S)


async def test_S5_bad_entries_in_the_store_hide_no_good_ones(daemon, gateway, session, sandbox):
    await daemon.start()
    for key, entry in (
        ("agent:main:number", 7),
        ("agent:main:list", []),
        ("agent:main:no-id", {"sessionId": 12}),
        ("agent:main:leads-out", {"sessionId": "../../etc/passwd"}),
        ("", {"sessionId": ""}),
        ("agent:main:" + "x" * 5000, {"sessionId": "x" * 300, "status": ["running"], "startedAt": "soon"}),
    ):
        gateway.save(key, entry)
    session.finish(session.begin())
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)


# Mattermost

WRONG_TOKEN = "wrong-token-that-nobody-may-read"


async def test_M8_a_wrong_token_is_one_log_line_and_a_failed_health_not_a_crash(make_daemon, sandbox):
    sandbox.configure(enable_developer=True)  # such a server repeats the token in its refusal
    daemon = await make_daemon(MM_TOKEN=WRONG_TOKEN, LOG_LEVEL="debug")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    answer = await daemon.healthy_when(lambda h: h.status == "failed", SHOWN_WITHIN_S)
    assert answer.http_status == 503
    assert any("token" in problem for problem in answer.problems)
    asked = len(sandbox.requests)
    session.result(call)
    session.call("exec", command="more to say")
    await during(1.2, lambda: len(sandbox.requests) == asked, "it goes on asking with a refused token")
    assert asked <= 2
    assert len(daemon.events("mattermost_token_refused")) == 1
    assert WRONG_TOKEN not in daemon.log.read_text()
    assert WRONG_TOKEN not in str(answer.document)
    assert await daemon.stop() == 0
    assert boxes(sandbox) == []


async def test_an_unreachable_server_is_degraded_health_and_is_caught_up_with(make_daemon, sandbox):
    await sandbox.pause()
    daemon = await make_daemon(CIRCUIT_BREAKER_COOLDOWN_S="1")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    answer = await daemon.healthy_when(lambda h: h.status == "degraded", SHOWN_WITHIN_S)
    assert answer.http_status == 200
    assert any(problem.startswith("mattermost") for problem in answer.problems)
    session.result(call)
    session.call("exec", command="while it was away")
    await daemon.healthy_when(lambda h: h.document["circuit"]["state"] == "open", 20)
    assert len(daemon.events("mattermost_unavailable")) == 1
    await sandbox.resume()
    await eventually(box_says(sandbox, "ACTIVE", "while it was away"), SHOWN_WITHIN_S)
    answer = await daemon.healthy_when(lambda h: h.status == "ok", SHOWN_WITHIN_S)
    assert answer.problems == []


async def test_an_unknown_channel_is_one_log_line_and_a_problem_and_others_go_on(daemon, gateway, sandbox):
    nowhere, not_in = "nosuchchannelxxxxxxxxxxxxx", sandbox.store.add_channel("members-only", type="P").id
    await daemon.start()
    lost = gateway.session(nowhere)
    lost.begin()
    gateway.session(not_in).begin()
    answer = await daemon.healthy_when(lambda h: len(h.problems) == 2, SHOWN_WITHIN_S)
    assert (answer.status, answer.http_status) == ("degraded", 200)
    assert all(any(channel in problem for problem in answer.problems) for channel in (nowhere, not_in))
    gateway.session(
        nowhere, root_id=sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, "x").id
    ).begin()
    fine = gateway.session(sandbox.channel.id)
    fine.finish(fine.begin())
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    told = [line["problem"] for line in daemon.events("publishing_problem")]
    assert len(told) == len(set(told)) == 2
    assert len(problem_lines(daemon)) == 2


# What must never be told


async def test_neither_token_nor_agent_text_is_in_logs_or_health_and_the_token_in_no_post(
    daemon, session, sandbox
):
    said = f"{MARKER} {sandbox.bot_token}"
    await daemon.start()
    session.store(status="running")
    session.ask(f"Please {said}")
    call = session.call("exec", f"I will {said}", command=f"echo {said}")
    session.result(call, f"output {said}", exit_code=3)
    call = session.call(f"tool-{MARKER}", argument=said)
    session.raw(f"{said} is no JSON\n".encode())
    await eventually(box_says(sandbox, "ACTIVE", "[ERR 3]"), SHOWN_WITHIN_S)
    await daemon.kill()
    await daemon.start()
    session.finish(call, f"The end of {said}")
    box = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert await daemon.stop() == 0
    assert MARKER in box.message  # agents are quoted in the channel, which is what it is for
    told = daemon.log.read_text() + str(answer)
    assert MARKER not in told
    assert sandbox.bot_token not in told
    texts = [box.message, *(edit.message for edit in sandbox.store.edits)]
    assert not any(sandbox.bot_token in text.replace("\\", "") for text in texts)


def resident_kb(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
