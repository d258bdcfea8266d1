"""The fold: entries of one transcript, in file order, to the turns of its session.

Pure but for owning its accumulators: the same entries in the same batches give the same turns. An entry that
was folded before is known by its id and changes nothing, so a rewritten file may simply be read again.
"""

from collections.abc import Iterable
from typing import assert_never

from status_watcher.core.background import Background
from status_watcher.core.belonging import answered_call, newest_with_children, open_call, spawner, spawner_of
from status_watcher.core.departure import AtWork, Departure, given_up, interrupted_ms, not_told
from status_watcher.core.labels import Labels
from status_watcher.core.progress import take_answer, take_nested, take_result, try_again
from status_watcher.core.prompts import Prompt
from status_watcher.core.results import ResultLine
from status_watcher.core.skew import NONE, Skew
from status_watcher.core.transcript import (
    AssistantLine,
    Compacted,
    Entry,
    Header,
    NestedCall,
    Other,
    PromptError,
    Reset,
    Skipped,
    Stop,
    UserLine,
    parse_line,
)
from status_watcher.core.turn import Announced, Call, Compaction, Ending, Last, Nature, Run, Turn
from status_watcher.model import AgentId, EntryId, SessionId, SessionKey

MOST_OPEN_TURNS = 20

LONGEST_RETRY_PAUSE_MS = 15_000
"""An identical prompt that comes later after an error than this is a person asking again, and no retry."""

COMPACTION_BEFORE_PROMPT_MS = 2_000
"""2026.7.1 compacts for a message that has arrived before it writes the message's own line (0.5 s later)."""


class Session:
    """The turns of one session, as far as its transcript has told."""

    __slots__ = (
        "_at_work",
        "_background",
        "_compacted_ms",
        "_held_prompt",
        "_idle_timeout_ms",
        "_labels",
        "_max_duration_ms",
        "_seen",
        "_target",
        "agent",
        "children",
        "copied_until_ms",
        "gone",
        "head_missing",
        "id",
        "revision",
        "skipped",
        "turns",
    )

    def __init__(
        self,
        agent: AgentId,
        session_id: SessionId,
        labels: Labels,
        *,
        idle_timeout_ms: int = 60_000,
        max_duration_ms: int = 1_800_000,
        at_work: AtWork = not_told,
    ) -> None:
        self.agent = agent
        self.id = session_id
        self.turns: list[Turn] = []
        self.children: set[SessionKey] = set()
        """Every sub-agent that this session ever started, also in turns that are forgotten."""
        self.copied_until_ms = 0
        """Older entries are copies from another session (a fork, a rewind), and make no turns here."""
        self.gone: Departure | None = None
        self.head_missing = False
        self.revision = 0
        """Counts every change of a turn."""
        self.skipped: dict[str, int] = {}
        self._labels = labels
        self._at_work = at_work
        self._idle_timeout_ms = idle_timeout_ms
        self._max_duration_ms = max_duration_ms
        self._seen: set[str] = set()
        self._target: Turn | None = None
        self._held_prompt: UserLine | None = None
        self._background = Background()
        self._compacted_ms = -COMPACTION_BEFORE_PROMPT_MS - 1

    def fold_line(self, line: bytes, arrived_ms: int | None, skew: Skew = NONE) -> None:
        """Fold one line; `arrived_ms` is None for a backlog, whose own times are all that is known."""
        entry = skew.of_entry(parse_line(line))
        if isinstance(entry, Skipped):
            self.skipped[entry.reason] = self.skipped.get(entry.reason, 0) + 1
        else:
            self.fold(entry, arrived_ms)

    def fold(self, entry: Entry, arrived_ms: int | None) -> None:
        """Fold one entry."""
        if isinstance(entry, Other):
            return
        if isinstance(entry, Header):
            self.copied_until_ms = entry.at_ms if entry.forked and not self.turns else self.copied_until_ms
            return
        entry_id = entry.id
        if entry_id:
            if entry_id in self._seen:
                return
            self._seen.add(entry_id)
        if entry.at_ms < self.copied_until_ms:
            return
        match entry:
            case AssistantLine():
                turn = self._assistant(entry)
            case ResultLine():
                turn = self._result(entry)
            case UserLine():
                turn = self._user(entry)
            case Compacted():
                turn = self._compacted(entry)
            case NestedCall():
                turn = self._nested(entry)
            case PromptError():
                turn = self._prompt_error(entry)
            case Reset():
                turn = self._reset(entry)
            case _:
                assert_never(entry)
        if turn is not None:
            self.revision += 1
            turn.revision += 1
            seen_ms = entry.at_ms if arrived_ms is None else arrived_ms
            turn.seen_ms = max(turn.seen_ms, seen_ms)
            turn.run.seen_ms = turn.run.seen_ms or seen_ms
            turn.ahead_ms = max(0, entry.at_ms - seen_ms)

    @property
    def current(self) -> Turn | None:
        """The turn to which the next line belongs, if it is not the first of another one."""
        return self._target

    def forget_turns_except(self, keep: set[EntryId]) -> bool:
        """Drop turns that nobody can ask for any more: all but the last, the named, and the open one. Whether
        there were any.
        """
        had, last = len(self.turns), self.turns[-1:]
        self.turns = [t for t in self.turns[:-1] if t.id in keep or t is self._target] + last
        return len(self.turns) < had

    def close(self, turn: Turn, ending: Ending, at_ms: int) -> None:
        """End a turn that has no final line on other evidence: a later turn, the store's status, a reset.

        If the model goes on nevertheless, so does the turn.
        """
        run = turn.run
        if run.ending is None:
            run.end(ending, at_ms, assumed=True)
            self.revision += 1
            turn.revision += 1

    def interrupt(self, turn: Turn, at_ms: Iterable[int]) -> None:
        """End a turn that was cut off, which had happened at the latest at each of these times."""
        over_ms = interrupted_ms(turn, at_ms, self._idle_timeout_ms, self._max_duration_ms)
        self.close(turn, Ending.INTERRUPTED, over_ms)

    # What each kind of line does

    def _user(self, line: UserLine) -> Turn | None:
        prompt = line.prompt
        if prompt is Prompt.HIDDEN:
            return None
        if prompt is Prompt.HEARTBEAT:
            return self._begin(line, Nature.HEARTBEAT)
        if prompt is Prompt.MEMORY_FLUSH:
            return self._begin(line, Nature.MEMORY_FLUSH)
        if prompt is Prompt.WAKE:
            self._background.hear(line.text, line.at_ms)
        current = self._target
        if prompt is Prompt.ANNOUNCEMENT:
            return self._announcement(line, current)
        if prompt is Prompt.RESUMED and current is not None:
            self.interrupt(current, [line.at_ms])
        if current is None:
            return self._begin(line, Nature.WORK)
        run = current.run
        at_work = run.ending is None and current.nature is Nature.WORK
        if at_work and not self._was_given_up(current, line.at_ms):
            if run.open_calls:
                self._held_prompt = self._held_prompt or line
            else:
                run.last, run.last_ms = Last.PROMPT, line.at_ms
            return current
        again = run.ending is Ending.ERROR and line.text == current.prompt_text
        if again and line.at_ms - run.ending_ms <= LONGEST_RETRY_PAUSE_MS:
            try_again(run)
            run.last, run.last_ms = Last.PROMPT, line.at_ms
            return current
        return self._begin(line, Nature.WORK)

    def _was_given_up(self, turn: Turn, now_ms: int) -> bool:
        """Whether a turn without a final line or an open call had long been closed as over when a line came.

        What comes after is no steering of it: nobody was at work any more.
        """
        over = given_up(turn, now_ms, self._idle_timeout_ms, self._max_duration_ms, self._at_work)
        if over is not None:
            self.close(turn, *over)
        return over is not None

    def _announcement(self, line: UserLine, current: Turn | None) -> Turn | None:
        report = line.announcement
        turn = spawner(self.turns, report) if report is not None else None
        turn = turn or newest_with_children(self.turns)
        if turn is None:
            return None
        if report is not None:
            turn.announced.append(Announced(line.at_ms, report))
        if current is None or current is turn or current.run.ending is not None:
            self._target = turn
            if turn.run.ending is not None:
                turn.runs.append(Run(line.at_ms, line.at_ms, last_ms=line.at_ms))
            else:
                turn.run.model_start_ms = line.at_ms
                if not turn.run.open_calls:
                    turn.run.last = Last.PROMPT
        return turn

    def _assistant(self, line: AssistantLine) -> Turn | None:
        if line.injected:
            return self._injected(line)
        if self._held_prompt is not None:
            self._resolve_held_prompt_as_restart()
        turn = self._target
        told = spawner_of(self.turns, line.answers) if line.answers is not None else None
        if told is not None and told is not turn:
            if turn is None or turn.run.ending is not None:
                self._target = told
            turn = told
        run = turn.run if turn is not None else None
        if run is not None and run.ending is Ending.ABORTED and line.stop is Stop.ABORTED:
            return None  # the aborted run's own last line, after the gateway's mark of it
        if turn is None or run is None or not (run.ending in (None, Ending.ERROR) or run.assumed):
            turn = self._unprompted(line, told)
            run = turn.run
        if turn.nature is Nature.COMMAND:
            turn.nature = Nature.WORK
        if run.ending is Ending.ERROR and self._compacted_ms > run.last_ms:
            run.add(Compaction(self._compacted_ms))  # the remedy: the prompt had become too long
        take_answer(run, line, self._labels)
        return turn

    def _result(self, line: ResultLine) -> Turn | None:
        found = open_call(self.turns, line.call_id)
        if found is None:
            return self._background.close(line, self._target)
        turn, run, call = found
        take_result(run, call, line)
        if turn is self._target:
            self._held_prompt = None
        self._note(turn, call, line)
        return turn

    def _nested(self, line: NestedCall) -> Turn | None:
        """A call that another one made; one that does not say which was made by the newest run."""
        found = open_call(self.turns, line.parent)
        if found is not None:
            turn, run, outer = found
        elif (current := self._target) is not None:
            turn, run, outer = current, current.run, None
            if line.parent and (outer := answered_call(run, line.parent)) is None:
                return None
        else:
            return None
        call = take_nested(run, outer, line, self._labels)
        self._note(turn, call, line.result)
        return turn

    def _note(self, turn: Turn, call: Call, line: ResultLine) -> None:
        """Remember of a result what later lines may be about: a sub-agent, a command that is not over."""
        if line.child is not None:
            self.children.add(line.child)
        if line.process or line.approval:
            self._background.take(turn, call, line, self._target)

    def _compacted(self, line: Compacted) -> Turn | None:
        turn = self._target
        if turn is None or turn.run.ending is not None:
            self._compacted_ms = line.at_ms
            return None
        turn.run.add(Compaction(line.at_ms))
        turn.run.last_ms = line.at_ms
        return turn

    def _prompt_error(self, line: PromptError) -> Turn | None:
        turn = self._target
        if turn is None or (turn.run.ending is not None and not turn.run.assumed):
            return None
        run = turn.run
        if turn.nature is Nature.COMMAND:
            turn.nature = Nature.WORK
        run.end(Ending.ABORTED if line.aborted else Ending.ERROR, line.at_ms)
        run.ending_text = "" if line.aborted else line.error
        run.last_ms = line.at_ms
        return turn

    def _reset(self, line: Reset) -> Turn | None:
        """The session goes on with a new conversation: whatever was at work in the old one is over."""
        self._held_prompt = None
        turn = self._target
        if turn is None or turn.run.ending is not None:
            return None
        over_ms = interrupted_ms(turn, [line.at_ms], self._idle_timeout_ms, self._max_duration_ms)
        turn.run.end(Ending.INTERRUPTED, over_ms)
        return turn

    def _injected(self, line: AssistantLine) -> Turn | None:
        turn = self._target
        if turn is None or turn.run.ending is not None:
            return None
        run = turn.run
        if line.abort_mark:
            run.end(Ending.ABORTED, line.at_ms)
        elif (
            run.last is Last.PROMPT
            and not run.has_calls
            and turn.nature is Nature.WORK
            and len(turn.runs) == 1
        ):
            # Or the mirror of an answer that is being aborted (2026.7.1), or a notice before one: more lines
            # follow.
            turn.nature = Nature.COMMAND
            run.end(Ending.DONE, line.at_ms, assumed=True)
        else:
            return None
        run.last_ms = line.at_ms
        return turn

    # Which turn a line belongs to

    def _begin(self, line: UserLine, nature: Nature) -> Turn:
        self._held_prompt = None
        turn = Turn(
            line.id,
            line.at_ms,
            nature,
            line.text,
            [Run(line.at_ms, line.at_ms, last_ms=line.at_ms)],
            thread_root=line.thread_root,
        )
        self._append(turn)
        if line.at_ms - self._compacted_ms <= COMPACTION_BEFORE_PROMPT_MS:
            turn.run.add(Compaction(self._compacted_ms))
        return turn

    def _append(self, turn: Turn) -> None:
        previous = self._target
        if previous is not None and previous.run.ending is None:
            if previous.run.open_calls:
                self.interrupt(previous, [turn.start_ms])
            self.close(previous, Ending.DONE, previous.run.last_ms)
        turn.head_missing = self.head_missing and not self.turns
        self.turns = [*(t for t in self.turns if t.id != turn.id), turn]  # one that had departed is back
        self._target = turn
        del self.turns[:-MOST_OPEN_TURNS]

    def _resolve_held_prompt_as_restart(self) -> None:
        """The model answers a prompt though a call before it has no result: the gateway was restarted
        between.
        """
        held, turn = self._held_prompt, self._target
        self._held_prompt = None
        if held is None or turn is None or not turn.run.open_calls:
            return
        self._begin(held, Nature.WORK)

    def _unprompted(self, line: AssistantLine, told: Turn | None) -> Turn:
        """An assistant line after a final one, without a user line: the answer to a child's end, of which
        `told` was told if the line says so, or a wake-up.
        """
        run = Run(line.at_ms, line.model_start_ms, last_ms=line.at_ms)
        turn = told or newest_with_children(self.turns)
        if turn is None:
            turn = Turn(line.id, line.model_start_ms, runs=[run], prompted=False)
            self._append(turn)
            return turn
        turn.runs.append(run)
        if self._target is None or self._target.run.ending is not None:
            self._target = turn
        return turn
