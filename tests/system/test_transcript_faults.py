"""What may happen to a transcript: rows T4 to T15 and P15 of the fault matrix, as processes."""

import asyncio
import os
import re
import socket
import time

import orjson
import pytest
from daemon import Daemon, box_says, boxes, during, eventually
from gateway import Gateway, tear
from hostile import memory_kb, with_faults

SHOWN_WITHIN_S = 15.0


@pytest.fixture
async def daemon(make_daemon) -> Daemon:
    return await make_daemon()


@pytest.fixture
def gateway(daemon) -> Gateway:
    return Gateway(daemon.openclaw)


@pytest.fixture
def session(gateway, sandbox):
    return gateway.session(sandbox.channel.id)


def texts(sandbox) -> list[str]:
    """All that our posts have ever said."""
    return [*(edit.message for edit in sandbox.store.edits), *(post.message for post in boxes(sandbox))]


def elapsed_s(text: str) -> int:
    """What the first line says of the turn's age, which the tests here keep under a minute."""
    found = re.match(r"\[ACTIVE\] \S+ \| (\d+)s\n", text)
    assert found is not None, text
    return int(found[1])


async def test_T4_a_transcript_emptied_and_written_anew_bit_by_bit_never_empties_its_box(
    daemon, session, sandbox
):
    await daemon.start()
    call = session.begin(command="the first command")
    box = await eventually(box_says(sandbox, "ACTIVE", "the first command"), SHOWN_WITHIN_S)
    header, asked, called = session.path.read_bytes().splitlines(keepends=True)
    for content in (b"", header + asked):
        tear(session.path, content)
        # Much longer than a file that shrank is given to settle: this is what lies there now.
        await during(0.8, lambda: "the first command" in box.message, "its box lost what the file lost")
    tear(session.path, header + asked + called)
    session.finish(call)
    done = await eventually(box_says(sandbox, "DONE", "[OK]"), SHOWN_WITHIN_S)
    assert done.id == box.id
    assert all(text.count("the first command") == 1 for text in texts(sandbox))


async def keeps_its_post(sandbox, session, rewrite) -> None:
    """A transcript that says something else under the same header: same post, counted from the same start."""
    session.begin(command="the old command")
    box = await eventually(box_says(sandbox, "ACTIVE", "the old command"), SHOWN_WITHIN_S)
    await asyncio.sleep(1.2)  # the age that must not be lost
    header, asked, _ = session.path.read_bytes().splitlines(keepends=True)
    blocks = [{"type": "toolCall", "id": "call_2", "name": "exec", "arguments": {"command": "the new " * 40}}]
    other = {"type": "message", "message": {"role": "assistant", "content": blocks, "stopReason": "toolUse"}}
    rewrite(header + asked + session.line(other))
    after = await eventually(box_says(sandbox, "ACTIVE", "the new"), SHOWN_WITHIN_S)
    assert after.id == box.id
    assert elapsed_s(after.message) >= 1


async def test_T5_a_transcript_regrown_beyond_what_was_read_keeps_post_and_start(daemon, session, sandbox):
    await daemon.start()
    await keeps_its_post(sandbox, session, lambda content: tear(session.path, content))
    await daemon.healthy_when(lambda h: h.counters["verdicts_truncated"] == 1, SHOWN_WITHIN_S)


async def test_T6_a_transcript_replaced_by_rename_keeps_post_and_start(daemon, session, sandbox):
    def replace(content: bytes) -> None:
        repaired = session.path.with_suffix(".jsonl.repair.1.x.tmp")
        tear(repaired, content)
        repaired.rename(session.path)

    await daemon.start()
    await keeps_its_post(sandbox, session, replace)
    await daemon.healthy_when(lambda h: h.counters["verdicts_replaced"] == 1, SHOWN_WITHIN_S)


@pytest.mark.long  # 7 s of waiting; the edge's rows of T8 are in every run
async def test_T8_a_transcript_deleted_for_good_closes_its_box_as_interrupted(
    daemon, gateway, session, sandbox
):
    await daemon.start()
    session.begin(command="never finished")
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    session.path.unlink()
    gateway.drop(session.key)
    # Two looks at least 5 s apart must lack it, and a look without news is told every 5 s.
    await eventually(box_says(sandbox, "INTERRUPTED", "never finished"), 15)
    await daemon.healthy_when(lambda h: h.document["sessions"]["tracked"] == 0, 10, "it is still followed")


async def test_T10_garbage_costs_nothing_where_every_warning_is_an_error(make_daemon, sandbox):
    daemon = await make_daemon(PYTHONWARNINGS="error", PYTHONDEVMODE="1", LOG_LEVEL="debug")
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    await daemon.start()
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    garbage = (b"\xff\xfe", b"\\ud83d", b'{"type":"message","timestamp":1e999}', b"[" * 3000, b"\x80" * 300)
    session.raw(b"\n".join((*garbage, b"")))
    session.result(call)
    await eventually(box_says(sandbox, "ACTIVE", "[OK]"), SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    await daemon.start()
    session.answer("All done.")
    await eventually(box_says(sandbox, "DONE", "All done."), SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    loud = [line for line in daemon.lines() if line["level"] in {"warning", "error", "critical"}]
    assert loud == []


async def test_T11_a_line_of_50_mb_costs_no_memory_and_holds_up_nobody(daemon, gateway, session, sandbox):
    channel = sandbox.store.add_channel("another", members=(sandbox.bot.id,))
    other = gateway.session(channel.id)
    await daemon.start()
    session.begin(command="answered by a result nobody can hold")
    other_call = other.begin()
    await eventually(lambda: len(boxes(sandbox)) == 2, SHOWN_WITHIN_S)
    before_kb = memory_kb(daemon.pid)
    session.raw(b'{"type":"message","text":"')
    slowest_s = 0.0
    for piece in range(50):
        session.raw(b"x" * (1 << 20))
        asked_s = time.monotonic()
        assert await daemon.health() is not None
        slowest_s = max(slowest_s, time.monotonic() - asked_s)
        if piece == 25:
            other.finish(other_call)
    session.raw(b'"}\n')
    await eventually(box_says(sandbox, "DONE", channel_id=channel.id), SHOWN_WITHIN_S)
    session.answer("The result was too long for anybody.")
    # The call has no result: the next turn closes this one.
    session.ask("And now?")
    session.call("exec", command="next turn")
    answer = await daemon.healthy_when(lambda h: h.counters["overlong_lines"] == 1, SHOWN_WITHIN_S)
    await eventually(lambda: len(boxes(sandbox, sandbox.channel.id)) == 2, SHOWN_WITHIN_S)
    first, second = boxes(sandbox, sandbox.channel.id)
    assert not first.message.startswith("[ACTIVE]")
    assert "next turn" in second.message
    assert slowest_s < 0.25
    assert memory_kb(daemon.pid, "VmHWM") - before_kb < 40 * 1024
    assert answer.counters["worst_loop_lag_ms"] < 250


async def test_T12_of_5_gb_at_first_sight_the_end_is_shown_and_the_box_says_so(daemon, session, sandbox):
    session.store(status="running")
    session.raw(b"")
    os.truncate(session.path, 5 << 30)  # a hole: it takes no room
    session.raw(b"\n")
    session.ask("Go on")
    session.call("exec", command="at the very end")
    await daemon.start()
    await eventually(
        box_says(sandbox, "ACTIVE", "at the very end", "shown from its later part"), SHOWN_WITHIN_S
    )
    read_bytes = int(re.search(rb"rchar: (\d+)", _io(daemon.pid))[1])
    assert read_bytes < 64 << 20


def _io(pid: int) -> bytes:
    with open(f"/proc/{pid}/io", "rb") as file:  # noqa: PTH123 - a file of the kernel
        return file.read()


async def test_T13_what_only_looks_like_a_transcript_never_blocks_the_loop(
    daemon, session, sandbox, tmp_path_factory
):
    outside = tmp_path_factory.mktemp("outside") / "secret.jsonl"
    outside.write_bytes(b'{"type":"session","version":3,"id":"secret"}\n')
    os.mkfifo(daemon.sessions_dir / "fifo.jsonl")
    (daemon.sessions_dir / "loop.jsonl").symlink_to("loop.jsonl")
    (daemon.sessions_dir / "out.jsonl").symlink_to(outside)
    (daemon.sessions_dir / "null.jsonl").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        there = os.open(daemon.sessions_dir, os.O_RDONLY)  # a socket's path may not be long
        listener.bind(f"/proc/self/fd/{there}/socket.jsonl")
        os.close(there)
        await daemon.start()
        call = session.begin()
        await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
        for number in range(5):  # one more than there are threads that read
            os.mkfifo(daemon.sessions_dir / f"later-{number}.jsonl")
        await daemon.healthy_when(lambda h: h.counters["refused_reads"] > 5, SHOWN_WITHIN_S)
        session.finish(call)
        await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    answer = await daemon.health()
    assert answer is not None
    assert answer.document["sessions"]["tracked"] == 1
    assert answer.counters["worst_loop_lag_ms"] < 250
    assert len(boxes(sandbox)) == 1


HANGING = """
import os, threading
from status_watcher.edge import file_source, lookout
lookout._HUNG_S = 0.5
really = os.open
def open_slowly(path, *arguments, **names):
    if isinstance(path, str) and path.endswith("stale.jsonl"):
        threading.Event().wait()
    return really(path, *arguments, **names)
file_source.FileSource.__init__.__kwdefaults__["open_file"] = open_slowly
"""


async def test_T15_a_read_that_never_returns_is_seen_and_holds_up_neither_others_nor_the_end(
    make_daemon, sandbox, tmp_path
):
    daemon = await make_daemon(**with_faults(tmp_path, HANGING))
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    (daemon.sessions_dir / "stale.jsonl").write_bytes(b'{"type":"session","version":3,"id":"stale"}\n')
    await daemon.start()
    answer = await daemon.healthy_when(lambda h: h.status == "degraded", SHOWN_WITHIN_S)
    assert "network file system" in answer.problems[0]
    session.finish(session.begin())
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert await daemon.stop() == 0


async def test_P15_agents_and_transcripts_whose_names_are_no_text_are_shown_and_logged(daemon, sandbox):
    gateway = Gateway(daemon.openclaw, os.fsdecode(b"odd\xff"))
    session = gateway.session()
    session.path = gateway.sessions_dir / os.fsdecode(b"\xfe.jsonl")
    daemon.settings |= {"DEFAULT_CHANNEL": sandbox.channel.id, "LOG_LEVEL": "debug"}
    tear(gateway.index, b"{}")
    session.ask("Please look after it")
    call = session.call("exec", command="below an odd name")
    os.mkfifo(gateway.sessions_dir / os.fsdecode(b"\xfd.jsonl"))
    await daemon.start()
    box = await eventually(box_says(sandbox, "ACTIVE", "below an odd name"), SHOWN_WITHIN_S)
    await daemon.kill()
    session.result(call)
    session.answer("All done.")
    tear(gateway.index, orjson.dumps({"agent:odd:x": {"sessionId": session.id, "status": "done"}}))
    await daemon.start()
    done = await eventually(box_says(sandbox, "DONE", "All done."), SHOWN_WITHIN_S)
    assert done.id == box.id
    assert await daemon.stop() == 0
    assert daemon.lines()  # each of them is JSON
