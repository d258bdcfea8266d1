"""What a line does to the run that it belongs to."""

from collections.abc import Mapping

from status_watcher.core.labels import WRAPPER, Labels, describe, unwrapped
from status_watcher.core.nested import NestedCall
from status_watcher.core.results import Result, ResultLine
from status_watcher.core.transcript import AssistantLine, Said, Stop, ToolUse
from status_watcher.core.turn import Approval, Call, Ending, Last, Remark, Run

APPROVAL_LASTS_MS = 1_800_000
"""Where a result does not say when its approval lapses (30 minutes in 2026.7.1 and 2026.9.6)."""
LONGEST_APPROVAL_MS = 86_400_000
"""A turn is kept open for an approval, but not for ever where `MAX_SESSION_DURATION_S` is 0."""

LONG_MS = 60_000
"""Only calls that took so long are remembered by their tools' names, which may be anything."""


def try_again(run: Run) -> None:
    """An error was not the last word."""
    run.reopen()
    run.tries += 1
    run.retrying = True


def take_answer(run: Run, line: AssistantLine, labels: Labels) -> None:
    """The model said something, called tools, or both; its last word ends the run."""
    if run.ending is Ending.ERROR:
        try_again(run)
    elif run.ending is not None:
        run.reopen()
    run.asked_ms, run.asked_after = run.last_ms, run.last
    if run.last is Last.PROMPT or run.last is Last.RESULT:
        run.slowest_model_ms = max(run.slowest_model_ms, line.at_ms - run.last_ms)
    run.retrying = False
    run.tokens += line.tokens
    run.cost_usd += line.cost_usd
    if not line.injected:
        run.model = line.model or run.model
    run.last_ms = line.at_ms
    failed = line.stop is Stop.ERROR or line.stop is Stop.ABORTED
    stopped = line.stop is Stop.FINAL or line.stop is Stop.LENGTH
    # A model that says `stop` and calls a tool has not stopped: the gateway runs the tool and asks it again.
    # Those of a failed answer are never made.
    final = failed or (stopped and not any(isinstance(block, ToolUse) for block in line.blocks))
    words = ""
    for block in line.blocks:
        if isinstance(block, Said):
            words = block.text
            if not final:
                run.add(Remark(line.at_ms, block.text))
        elif not failed:
            _begin_call(run, block, line.at_ms, labels)
    run.last = Last.CALL if run.open_calls else Last.TEXT
    if final:
        _end(run, line, words)


def take_result(run: Run, call: Call, line: ResultLine) -> None:
    """The result of an open call came."""
    del run.open_calls[call.id]
    # Of a call that stood for another the other's record has told more.
    if call.result is None or (call.result is Result.OK and line.result is not Result.OK):
        _finish(run, call, line)
    run.last_ms = max(run.last_ms, line.at_ms)
    run.last = Last.CALL if run.open_calls else Last.RESULT
    run.yielded = run.yielded or line.yielded
    if run.yielded and not run.open_calls and run.ending is None:
        run.end(Ending.DONE, line.at_ms)


def take_nested(run: Run, outer: Call | None, line: NestedCall, labels: Labels) -> Call:
    """A call that an open or answered one has made has ended; returns the call that shows it.

    The first that a `tool_call` makes is what that one stands for; all others are shown beside it.
    """
    tool = line.result.tool
    if outer is None or not outer.wraps:
        call = Call(line.result.call_id, line.start_ms, tool, describe(tool, line.arguments, labels))
        call.child_label = _label(line.arguments)
        run.has_calls = True
        run.add(call)
    else:
        call, call.wraps = outer, False
        if line.arguments:
            call.text, call.child_label = describe(tool, line.arguments, labels), _label(line.arguments)
    _finish(run, call, line.result)
    run.last_ms = max(run.last_ms, line.at_ms)
    run.yielded = run.yielded or line.result.yielded
    return call


def _finish(run: Run, call: Call, line: ResultLine) -> None:
    call.result, call.code = line.result, line.code
    run.failed_calls += line.result is Result.ERROR
    ended = run.ending is not None and not run.assumed and line.at_ms > run.ending_ms
    if ended and line.result is Result.OK:
        call.result = Result.STILL_RUNNING  # when the turn ended, which is what its box tells
    call.ended_at_ms, call.duration_ms = line.at_ms, line.duration_ms
    took_ms = line.at_ms - call.at_ms if line.duration_ms is None else line.duration_ms
    if took_ms >= LONG_MS:
        run.slowest_calls_ms[call.tool] = max(took_ms, run.slowest_calls_ms.get(call.tool, 0))
    if line.approval:
        told_ms = APPROVAL_LASTS_MS if line.expires_in_ms is None else line.expires_in_ms
        lapses_in_ms = min(told_ms, LONGEST_APPROVAL_MS)
        call.approval = Approval(line.approval, line.at_ms + lapses_in_ms)
        run.unapproved.append(call)
    if line.child is not None and call.child is None:
        call.child = line.child
        run.spawned.append(call)


def _begin_call(run: Run, use: ToolUse, at_ms: int, labels: Labels) -> None:
    text = describe(use.name, use.arguments, labels)
    call = Call(use.id, at_ms, use.name, text, child_label=_label(use.arguments))
    if use.name == WRAPPER:
        call.wraps, call.child_label = True, _label(unwrapped(use.arguments)[1])
    run.has_calls = True
    run.open_calls[use.id] = call
    run.add(call)


def _label(arguments: Mapping[str, object]) -> str:
    label = arguments.get("label")
    return label if isinstance(label, str) else ""


def _end(run: Run, line: AssistantLine, words: str) -> None:
    run.ending_text = words
    match line.stop:
        case Stop.ERROR:
            run.end(Ending.ERROR, line.at_ms)
            run.ending_text = line.error or words
        case Stop.ABORTED:
            run.end(Ending.ABORTED, line.at_ms)
        case _:
            run.end(Ending.DONE, line.at_ms)
            if words.strip() and not run.silent:
                run.add(Remark(line.at_ms, words))
