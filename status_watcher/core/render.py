"""A turn's tree to the text of its post.

Nesting is drawn with block quotes, which wrap and nest on every Mattermost client. A nested level ends only
after a line with the outer marks alone, and the quote itself only after an empty line: Markdown's lazy
continuation swallows whatever follows otherwise (checked with Mattermost's parser, three levels).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from status_watcher.core.box_lines import NEWEST, OPEN_CHILD, ORDINARY, Line, compose, newest
from status_watcher.core.doing import ASKED_SLACK_MS, Asked
from status_watcher.core.pen import Pen
from status_watcher.core.policy import Level
from status_watcher.core.provider_error import shortened
from status_watcher.core.states import (
    OPEN_STATES,
    Compacting,
    Doing,
    ForApproval,
    ForChildren,
    Retrying,
    Thinking,
    UsingTool,
)
from status_watcher.core.transcript import Result
from status_watcher.core.tree import ChildView, TurnView
from status_watcher.core.turn import Call, Compaction, Ending, Item, Remark, Run
from status_watcher.model import SessionKey, State, ToolCallId

COMPACTED = "[session compacted - continuing]"
UNKNOWN_OUTCOME = "ended, outcome unknown"
STARTING = "starting..."
_CODE = re.compile(r"-?\d{1,10}|SIG[A-Z]{2,6}(?:[+-]\d{1,2})?|timeout|denied|expired")
"""All that may stand in brackets of ours: an exit code, a signal, our own words; no secret looks so."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a box may become; `max_lines` counts those between the first and the last line."""

    max_lines: int
    max_chars: int
    one_line: bool = False
    """The first line alone, which then has the tokens of an ended turn as well."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """As of when a box is drawn; `over` is the state of a turn that has ended, with everything below it."""

    now_ms: int
    over: State | None
    level_of: Callable[[SessionKey], Level]


def _all_of_it(_: SessionKey) -> Level:
    return Level.NORMAL


def render(
    view: TurnView,
    name: str,
    now_ms: int,
    limits: Limits,
    pen: Pen,
    *,
    state: State | None = None,
    note: str = "",
    link: str = "",
    level_of: Callable[[SessionKey], Level] = _all_of_it,
) -> str:
    """The text of a box at `now_ms`; `state` overrides the verdict (our own stop shows `INTERRUPTED`), `note`
    is said of a turn that has not ended, `link` is Markdown of ours, `level_of` tells how much is shown of a
    sub-agent.
    """
    verdict = view.verdict
    shown = state or verdict.state
    end_ms = now_ms if verdict.ended_ms is None else verdict.ended_ms
    took = span(end_ms - view.turn.start_ms)
    tries = view.runs[-1].tries
    first = f"[{shown}] {pen.name(name)} | {took}"
    told = not (limits.one_line and shown is State.ACTIVE)  # such a line is not drawn anew with each call
    if verdict.ended_ms is None and state is None and verdict.doing is not None and told:
        words = doing_words(verdict.doing, shown, now_ms, pen)
        first += f" | {words}" if words else ""
    if verdict.ended_ms is None and tries > 1 and shown is not State.RETRYING:
        first += f" | try {tries}"
    if note and verdict.ended_ms is None:
        first += f" | {note}"
    if limits.one_line:
        return _one_line(first + ("" if shown in OPEN_STATES else _tokens(view.tokens)), link, shown, limits)
    first = f"{first} | {link}" if link else first
    last = "" if shown in OPEN_STATES else f"[{shown}] {took}{_tokens(view.tokens)}"
    lines: list[Line] = []
    if view.turn.head_missing:
        lines.append(Line(0, "(a very long session: shown from its later part)", view.turn.start_ms))
    moment = _Moment(end_ms, None if verdict.ended_ms is None else verdict.state, level_of)
    dropped = _turn_lines(lines, view, 0, -1, moment, limits.max_lines, pen)
    _keep_newest(lines)
    return _fitting(first, lines, dropped, last, shown, limits)


def bare_box(
    name: str,
    state: State,
    elapsed_ms: int | None,
    limits: Limits,
    pen: Pen,
    *,
    note: str = "",
    link: str = "",
) -> str:
    """A box without a transcript to show: a first turn that only the store knows, or one whose transcript is
    gone.
    """
    took = "" if elapsed_ms is None else span(elapsed_ms)
    first = " | ".join(part for part in (f"[{state}] {pen.name(name)}", took, note) if part)
    if limits.one_line:
        return _one_line(first, link, state, limits)
    first = f"{first} | {link}" if link else first
    last = "" if state in OPEN_STATES else f"[{state}] {took}".rstrip()
    return _fitting(first, (), 0, last, state, limits)


def _one_line(line: str, link: str, state: State, limits: Limits) -> str:
    """The first line as all there is; without what is too long."""
    linked = f"{line} | {link}" if link else line
    return next((text for text in (linked, line) if len(text) <= limits.max_chars), f"[{state}]")


def doing_words(doing: Doing, state: State, now_ms: int, pen: Pen) -> str:
    """What stands after the elapsed time; "" where the lines below tell it: a tool's that runs."""
    match doing:
        case Thinking(since_ms):
            return _since("thinking", since_ms, now_ms)
        case Compacting(since_ms):
            return _since("compacting", since_ms, now_ms)
        case UsingTool(since_ms, label):
            return _since(f"{pen.name(label)} running", since_ms, now_ms) if state is State.STALLED else ""
        case ForChildren(count):
            return f"for {count} sub-agent{'' if count == 1 else 's'}"
        case ForApproval(since_ms):
            return _since("for approval", since_ms, now_ms)
        case Retrying(tries, failed):
            return f"try {tries} failed" if failed else f"try {tries}"
        case _:
            assert_never(doing)


def _since(words: str, since_ms: int, now_ms: int) -> str:
    return f"{words} {span(now_ms - since_ms)}" if now_ms - since_ms >= 1000 else words


def _fitting(first: str, lines: Sequence[Line], dropped: int, last: str, state: State, limits: Limits) -> str:
    """The longest box within the limits; it is made shorter by whole lines, the oldest first, and by nothing
    else.
    """
    most = limits.max_lines
    body, cut = newest(lines, most, dropped)
    while len(text := compose(first, body, cut, last)) > limits.max_chars and body:
        most = len(body) + bool(cut) - 1
        body, cut = newest(body, most, cut)
    for shorter in (text, compose(first, (), 0, last), first):
        if len(shorter) <= limits.max_chars:
            return shorter
    return f"[{state}]"


def span(ms: int) -> str:
    """A duration as people say it: `38s`, `5m 03s`, `1h 12m`; never negative."""
    seconds = max(0, ms) // 1000
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"


def _tokens(count: int) -> str:
    if count <= 0:
        return ""
    if count < 1000:
        return f" | {count} tokens"
    if count < 999_950:  # what rounds to less than 1000.0k
        return f" | {count / 1000:.1f}k tokens"
    return f" | {count / 1_000_000:.1f}M tokens"


def _turn_lines(
    lines: list[Line], view: TurnView, depth: int, parent: int, moment: _Moment, most: int, pen: Pen
) -> int:
    """Append the lines of a turn and what is below it; returns how many older ones were not even made."""
    if view.verdict.ended_ms is not None and moment.over is None:
        moment = replace(moment, over=view.verdict.state)
    dropped = 0
    ended_ms = max([c.verdict.ended_ms or 0 for c in view.children.values()], default=0)
    for run in view.runs:
        recent = _recent(run, most)
        dropped += run.dropped + len(run.items) - len(recent)
        for item in recent:
            child = view.children.get(item.id) if isinstance(item, Call) else None
            if child is not None:
                dropped += _child_lines(lines, child, depth, parent, ended_ms, moment, most, pen)
                continue
            text = _item_text(item, moment, view.asked, pen)
            if text:
                said = depth == 0 and isinstance(item, Remark)
                lines.append(Line(depth, text, _item_ms(item, moment), parent, is_word=said))
        error = run.ending is Ending.ERROR and pen.sentence(shortened(run.ending_text))
        if error:
            lines.append(Line(depth, f"Error: {error}", run.ending_ms, parent))
    return dropped


def _child_lines(
    lines: list[Line],
    child: ChildView,
    depth: int,
    parent: int,
    siblings_ended_ms: int,
    moment: _Moment,
    most: int,
    pen: Pen,
) -> int:
    """Append the lines of a sub-agent. How it fared is as new as the end of the last one beside it, and so
    worth more than what another has done.
    """
    head, what = len(lines), f"Sub-agent: {pen.name(child.label)}"
    level = moment.level_of(child.key)
    if level is Level.OFF:
        return 0
    ended_ms, state = child.verdict.ended_ms, child.verdict.state
    if ended_ms is None and moment.over is not None:
        ended_ms, state = moment.now_ms, moment.over  # given up together with the turn that it is part of
    stands, starting = "", not child.turns and child.traced
    if ended_ms is not None:
        stands = f"[{state}] {span(ended_ms - child.start_ms)}" if child.outcome_known else UNKNOWN_OUTCOME
    elif trouble := _trouble(child, moment, pen):
        stands = trouble
    if level is Level.COMPACT:
        starting = False
    words = stands or (STARTING if starting else f"running {span(moment.now_ms - child.start_ms)}")
    at_ms = moment.now_ms if ended_ms is None else max(ended_ms, siblings_ended_ms)
    weight = ORDINARY if ended_ms is not None and state is State.DONE else OPEN_CHILD
    alone = Line(depth, f"{what} {words}", at_ms, parent, weight=weight)
    if level is Level.COMPACT:
        lines.append(alone)
        return 0
    lines.append(Line(depth, what, child.start_ms, parent, alone=alone))
    dropped = 0
    for view in child.turns:
        dropped += _turn_lines(lines, view, depth + 1, head, moment, most, pen)
    if starting and ended_ms is None:
        lines.append(Line(depth + 1, STARTING, child.start_ms, head, is_state=True))
    if stands:
        lines.append(Line(depth + 1, stands, at_ms, head, is_state=True))
    return dropped


def _keep_newest(lines: list[Line]) -> None:
    """Sub-agents have many lines, and newer ones: the turn's own last word, and its newest line, stay."""
    own = [(line.at_ms, index) for index, line in enumerate(lines) if line.parent < 0 and line.alone is None]
    words = [(at_ms, index) for at_ms, index in own if lines[index].is_word]
    for found in (own, words):
        if found:
            index = max(found)[1]
            lines[index] = replace(lines[index], weight=NEWEST)


def _trouble(child: ChildView, moment: _Moment, pen: Pen) -> str:
    """What is to be said of a sub-agent that is open and does not get on; "" if it does."""
    state, doing = child.verdict.state, child.verdict.doing
    if state not in {State.STALLED, State.RETRYING} or doing is None:
        return ""
    return f"[{state}] {doing_words(doing, state, moment.now_ms, pen)}"


def _recent(run: Run, most: int) -> list[Item]:
    """The items of a run that can possibly be shown: the newest, calls that are open, and those with a
    sub-agent.
    """
    if len(run.items) <= most:
        return run.items
    old, new = run.items[:-most], run.items[-most:]
    waiting = {id(i) for i in [i for i in old if isinstance(i, Call) and i.result is None][-most:]}
    return [i for i in old if isinstance(i, Call) and (i.child is not None or id(i) in waiting)] + new


def _item_ms(item: Item, moment: _Moment) -> int:
    if isinstance(item, Call) and item.result is None and moment.over is None:
        return moment.now_ms
    return item.at_ms


def _item_text(item: Item, moment: _Moment, asked: Mapping[ToolCallId, Asked], pen: Pen) -> str:
    match item:
        case Remark():
            return pen.sentence(item.text)
        case Compaction():
            return COMPACTED
        case Call():
            label = pen.name(item.text.label)
            argument = pen.argument(item.text.argument)
            what = f"{label}: {argument}" if argument else label
            return f"{what} {_outcome(item, moment, asked.get(item.id))}"
        case _:
            assert_never(item)


def _outcome(call: Call, moment: _Moment, asked: Asked | None) -> str:
    match call.result:
        case None:
            if moment.over is not None:
                return "no result"
            if asked is not None and asked.since_ms >= call.at_ms - ASKED_SLACK_MS:
                return _since("waiting for approval", asked.since_ms, moment.now_ms)
            return _since("running", call.at_ms, moment.now_ms)
        case Result.STILL_RUNNING:
            return "still running"
        case Result.APPROVAL_PENDING:
            if call.approval is not None and moment.now_ms >= call.approval.expires_ms:
                return "[ERR expired]"
            if moment.over is not None:
                return "not approved"
            return _since("waiting for approval", call.ended_at_ms, moment.now_ms)
        case Result.OK:
            tag = "[OK]"
        case Result.ERROR:
            tag = f"[ERR {call.code}]" if _CODE.fullmatch(call.code) else "[ERR]"
        case _:
            assert_never(call.result)
    took_ms = call.duration_ms if call.duration_ms is not None else call.ended_at_ms - call.at_ms
    return f"{tag} {span(took_ms)}" if took_ms >= 1000 else tag
