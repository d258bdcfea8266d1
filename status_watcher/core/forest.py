"""Every session that is followed, how they hang together, and what the store says of them."""

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from status_watcher.core.at_work import children_worked, store_ran
from status_watcher.core.belonging import started_by
from status_watcher.core.departure import departure
from status_watcher.core.entries import ABSENT_FOR_MS, Entries, SessionRef
from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.core.labels import Labels
from status_watcher.core.replaced import carry_over
from status_watcher.core.routing import Kind, parse_key
from status_watcher.core.session import Session
from status_watcher.core.skew import NONE, Skew
from status_watcher.core.transcript import Header, parse_line
from status_watcher.core.turn import Last, Run, Turn
from status_watcher.core.verdict import Rules, store_ended_ms, store_ending
from status_watcher.model import AgentId, EntryId, SessionKey
from status_watcher.source import IndexSeen, Lines, News, Reading, TranscriptGone

__all__ = ["Forest", "SessionRef"]

_FAILURES = frozenset({StoreStatus.FAILED, StoreStatus.TIMEOUT})


class Forest:
    """Sessions by agent and id, fed by news; implements what `core.tree` asks."""

    def __init__(self, rules: Rules, labels: Labels) -> None:
        self._rules = rules
        self._labels = labels
        self._sessions: dict[SessionRef, Session] = {}
        self._first_seen: dict[SessionRef, int] = {}
        self._entries = Entries()
        self._spawners: dict[SessionKey, SessionRef] = {}
        self._past: dict[SessionRef, frozenset[EntryId]] = {}
        self._batches: set[SessionRef] = set()
        self._rebuilt: dict[SessionRef, Session] = {}
        """Sessions that are being told anew, until they take the place of those with the same name."""
        self._doubted: dict[SessionRef, int] = {}
        self._skipped: dict[str, int] = {}
        """Of sessions that are forgotten."""

    def __len__(self) -> int:
        return len(self._sessions)

    # News

    def take(
        self,
        news: News,
        now_ms: int,
        *,
        known_turns: Mapping[SessionRef, frozenset[EntryId]],
        skew: Skew = NONE,
    ) -> set[SessionRef]:
        """Fold news in; returns the sessions to be looked at. `known_turns` had a box in an earlier run."""
        match news:
            case Lines():
                ref = (news.agent, news.session_id)
                return self._take_lines(ref, news, now_ms, known_turns.get(ref, frozenset()), skew)
            case IndexSeen():
                return self._entries.take(news, self._sessions.keys(), now_ms, skew)
            case TranscriptGone():
                ref = (news.agent, news.session_id)
                session = self._sessions.get(ref)
                if session is not None:
                    stamped_ms = skew.board_ms(news.at_ms) if news.at_ms else 0
                    first_seen_ms = self._first_seen.get(ref, 0)
                    session.gone = departure(news.how, stamped_ms, first_seen_ms, now_ms)
                return {ref}
            case _:
                assert_never(news)

    def _take_lines(
        self, ref: SessionRef, news: Lines, now_ms: int, known_turns: frozenset[EntryId], skew: Skew
    ) -> set[SessionRef]:
        session = self._sessions.get(ref)
        if session is None:
            session = self._sessions[ref] = self._new_session(ref)
            self._first_seen[ref] = now_ms
        rebuilt = self._rebuilt.pop(ref, None)
        replaces = news.reading is Reading.REPLACED and ref in self._past
        if replaces:
            if rebuilt is None or (news.lines and isinstance(parse_line(news.lines[0]), Header)):
                rebuilt = self._new_session(ref)
                rebuilt.copied_until_ms = session.copied_until_ms
            session = self._rebuilt[ref] = rebuilt
        session.gone = None
        if news.filed_as is not None:
            self._entries.file_as(ref, (news.agent, news.filed_as))
        session.head_missing = session.head_missing or news.head_skipped
        session.copied_until_ms = max(session.copied_until_ms, skew.board_ms(news.copied_until_ms))
        live = news.reading is Reading.MORE and ref not in self._batches
        children = len(session.children)
        for line in news.lines:
            session.fold_line(line, now_ms if live else None, skew)
        if len(session.children) != children:
            for key in session.children:
                self._spawners.setdefault(key, ref)
        if live:
            self._past.setdefault(ref, frozenset())
            return {ref}
        if news.more_follows:
            self._batches.add(ref)
            return set()
        self._batches.discard(ref)
        if replaces:
            self._replace(ref, self._rebuilt.pop(ref), known_turns, now_ms)
        elif ref not in self._past:
            self._past[ref] = frozenset(t.id for t in session.turns[:-1]) - known_turns
        for turn in session.turns:
            turn.ahead_ms = max(turn.ahead_ms, turn.seen_ms - now_ms)
            turn.seen_ms = min(turn.seen_ms, now_ms)
            for run in turn.runs:
                run.seen_ms = min(run.seen_ms, now_ms)
        return {ref}

    def _replace(
        self, ref: SessionRef, session: Session, known_turns: frozenset[EntryId], now_ms: int
    ) -> None:
        """Put a session that was told anew in the place of what was known of it."""
        keep_departed = not self.is_shown_below(ref)
        no_news = carry_over(self._sessions[ref], session, now_ms, keep_departed=keep_departed)
        self._sessions[ref] = session
        current = session.current
        at_work = {current.id} if current is not None and current.run.ending is None else set()
        departed = {turn.id for turn in session.turns if turn.departed}
        self._past[ref] = (self._past[ref] - departed | no_news) - known_turns - at_work

    def _new_session(self, ref: SessionRef) -> Session:
        return Session(
            *ref,
            self._labels,
            idle_timeout_ms=self._rules.idle_timeout_ms,
            max_duration_ms=self._rules.max_duration_ms,
            at_work=partial(self._was_at_work, ref),
        )

    def _was_at_work(self, ref: SessionRef, turn: Turn, at_ms: int) -> bool:
        """Whether the store or a sub-agent tells that a quiet turn was at work when a line came."""
        idle_since_ms = at_ms - self._rules.idle_timeout_ms
        if store_ran(self.own_entry(ref), at_ms):
            return True
        return children_worked(self, ref[0], turn, idle_since_ms, self._rules.run_started_ms)

    # What the tree asks

    def entry(self, agent: AgentId, key: SessionKey) -> StoreEntry | None:
        """The entry of a key: in the store of the agent that the key names, else in the asking agent's."""
        return self._entries.entry(agent, key)

    def session_of(self, agent: AgentId, key: SessionKey) -> Session | None:
        """The session that a key has now, or had last, as far as it is followed."""
        ref = self._entries.ref_of(agent, key)
        return self._sessions.get(ref) if ref is not None else None

    def has_index(self, agent: AgentId) -> bool:
        """Whether this agent's store was ever readable."""
        return self._entries.has_index(agent)

    # What the board asks

    def session(self, ref: SessionRef) -> Session | None:
        return self._sessions.get(ref)

    def key(self, ref: SessionRef) -> SessionKey | None:
        """The key under which the store has, or had, this session."""
        return self._entries.key(ref)

    def own_entry(self, ref: SessionRef) -> StoreEntry | None:
        """The store's entry of this very session, not of a successor under the same key."""
        return self._entries.own_entry(ref)

    def is_being_read(self, ref: SessionRef) -> bool:
        """More of a longer read follows at once: what is folded so far ends somewhere in the middle."""
        return ref in self._batches

    def first_seen_ms(self, ref: SessionRef) -> int:
        """When the first line of this session came; 0 if none did."""
        return self._first_seen.get(ref, 0)

    def is_past(self, ref: SessionRef, turn: EntryId) -> bool:
        """The turn was there when the transcript was first read, and was not its last, which alone counts; or
        the session went back to before it.
        """
        session = self._sessions.get(ref)
        gone = session is not None and any(t.departed and t.id == turn for t in session.turns)
        return gone or turn in self._past.get(ref, ())

    def word_since_ms(self, ref: SessionRef, now_ms: int) -> int:
        """Since when the store has said of this session what it says now."""
        return self._entries.word_since_ms(ref, now_ms)

    def doubted_until_ms(self, ref: SessionRef) -> int:
        """When it will be believed that the current turn has ended, as the store says; 0 if it does not say
        so.
        """
        return self._doubted.get(ref, 0)

    def left_ms(self, ref: SessionRef) -> int | None:
        """Since when the store has this session no more, if it was seen to have had it."""
        return self._entries.left_ms(ref)

    def is_out_of_store(self, ref: SessionRef) -> bool:
        """The store has this session no more: its key has another one (a reset), or two looks lacked it."""
        return self._entries.is_out_of_store(ref)

    def root_of(self, ref: SessionRef) -> SessionRef:
        """The session at the top of the chain of parents, as far as it is followed.

        A circle of parents is cut at one of its members, the same for all who ask.
        """
        chain = [ref]
        while (parent := self._parent_of(chain[-1])) is not None:
            if parent in chain:
                return min(chain[chain.index(parent) :])
            chain.append(parent)
        return chain[-1]

    def has_parent(self, ref: SessionRef) -> bool:
        """Whether the store or the key says that this is a sub-agent, whoever its parent is."""
        key = self._entries.key(ref)
        if key is None:
            return False
        entry = self.entry(ref[0], key)
        return parse_key(key).kind is Kind.SUBAGENT or (entry is not None and entry.spawned_by is not None)

    def is_for_heartbeats(self, ref: SessionRef) -> bool:
        """Whether the key says that this session exists for heartbeats alone."""
        key = self._entries.key(ref)
        return key is not None and parse_key(key).kind is Kind.HEARTBEAT

    def is_shown_below(self, ref: SessionRef) -> bool:
        """Whether a followed parent has started this session, so that it stands in a box of that one."""
        key = self._entries.key(ref)
        spawner = self._spawners.get(key) if key is not None else None
        return spawner is not None and self._parent_of(ref) == spawner and self.root_of(ref) != ref

    def _parent_of(self, ref: SessionRef) -> SessionRef | None:
        """The parent that the store names, else the session whose call of `sessions_spawn` gave this key.

        Of several sessions that had the parent's key one after the other it is the one that made the call.
        """
        key = self._entries.key(ref)
        if key is None:
            return None
        entry, spawner = self.entry(ref[0], key), self._spawners.get(key)
        parent_key = entry.spawned_by if entry is not None else None
        if parent_key is None:
            return spawner if parse_key(key).kind in {Kind.SUBAGENT, Kind.ACP} else None
        if spawner is not None and self._entries.key(spawner) == parent_key:
            return spawner
        parent = self.session_of(ref[0], parent_key)
        return (parent.agent, parent.id) if parent is not None else None

    # Ends that no line tells

    def close_by_store(self, ref: SessionRef, now_ms: int) -> int | None:
        """End turns without a final line where the store or the transcript's removal says so.

        Returns when to ask again. The fold remembers the end, so that a status which changes later does not
        take it back.
        """
        session = self._sessions.get(ref)
        turn = session.current if session is not None else None
        if session is None or turn is None:
            return None
        entry = self.own_entry(ref)
        ending = store_ending(turn.run, entry) if entry is not None else None
        self._doubted.pop(ref, None)
        if entry is not None and ending is not None:
            grace_ms = self._grace_ms(turn.run, entry)
            ready_ms = max(self.word_since_ms(ref, now_ms), turn.seen_ms) + grace_ms
            if now_ms < ready_ms:
                self._doubted[ref] = ready_ms
                return ready_ms
            session.close(turn, ending, max(turn.run.last_ms, store_ended_ms(turn.run, entry) or 0))
        leaves_ms = self._leaves_ms(ref, session, turn)
        if leaves_ms is None or now_ms < leaves_ms:
            return leaves_ms
        gone, left_ms = session.gone, self._entries.left_ms(ref)
        known_ms = [left_ms] if left_ms is not None else []
        known_ms += [gone.stamped_ms, gone.seen_ms] if gone is not None else []
        for open_turn in session.turns:
            session.interrupt(open_turn, known_ms)
        return None

    def _leaves_ms(self, ref: SessionRef, session: Session, turn: Turn) -> int | None:
        """When it is believed that the session was reset or deleted; None if nothing says so.

        Transcript and store do not change at once (2026.2 to 2026.7 rename first), and a file may come back:
        where only one of them tells, it must stand. A session that writes on although its key has another one
        is not over before it is quiet.
        """
        gone, grace_ms = session.gone, self._rules.store_grace_ms
        if gone is not None:
            if self.is_out_of_store(ref):
                return gone.heard_ms
            undoubted_ms = self._entries.undoubted_ms(ref)
            return None if undoubted_ms is None else max(gone.heard_ms, undoubted_ms) + ABSENT_FOR_MS
        left_ms = self._entries.succeeded_ms(ref)
        if left_ms is None:
            return None
        writes_on = turn.seen_ms > left_ms + grace_ms
        return max(left_ms, turn.seen_ms) + (self._rules.idle_timeout_ms if writes_on else grace_ms)

    def _grace_ms(self, run: Run, entry: StoreEntry) -> int:
        """How long the store's word must stand: a failed call of the model may be tried again (2026.3.31)."""
        if entry.status in _FAILURES and not entry.aborted_last_run and run.last is Last.PROMPT:
            return self._rules.error_settles_ms
        return self._rules.store_grace_ms

    def is_held(self, ref: SessionRef) -> bool:
        """Whether a followed session has a turn still that started this one, which stands in its box."""
        key = self._entries.key(ref)
        spawner = self._spawners.get(key) if key is not None else None
        session = self._sessions.get(spawner) if spawner is not None else None
        return session is not None and key in started_by(session.turns)

    def dropped_children(self, ref: SessionRef) -> list[SessionRef]:
        """Sub-agents of turns that are forgotten, if neither the disk nor the store has them any more."""
        session = self._sessions.get(ref)
        if session is None:
            return []
        found = map(self._entries.last_ref_of, session.children - started_by(session.turns))
        return [child for child in found if child is not None and self._is_nowhere(child)]

    def forget(self, ref: SessionRef) -> set[SessionRef]:
        """Drop a session with its sub-agents, if neither the disk nor the store has any of them any more;
        returns those that are dropped.
        """
        members, ahead = {ref}, [ref]
        while ahead:
            session = self._sessions.get(ahead.pop())
            for key in session.children if session is not None else ():
                child = self._entries.last_ref_of(key)
                if child is not None and child not in members:
                    members.add(child)
                    ahead.append(child)
        if not all(self._is_nowhere(member) for member in members):
            return set()
        for member in members:
            session = self._sessions.pop(member, None)
            for reason, count in session.skipped.items() if session is not None else ():
                self._skipped[reason] = self._skipped.get(reason, 0) + count
            freed = self._entries.forget(member)
            spawner = self._spawners.pop(freed, None) if freed is not None else None
            if freed is not None and spawner in self._sessions:
                self._sessions[spawner].children.discard(freed)
            self._first_seen.pop(member, None)
            self._past.pop(member, None)
            self._rebuilt.pop(member, None)
            self._doubted.pop(member, None)
            self._batches.discard(member)
        return members

    def _is_nowhere(self, ref: SessionRef) -> bool:
        session = self._sessions.get(ref)
        return self.is_out_of_store(ref) and (session is None or bool(session.gone))

    def skipped_lines(self) -> Mapping[str, int]:
        """Lines that were no entry, by reason."""
        total = dict(self._skipped)
        for session in self._sessions.values():
            for reason, count in session.skipped.items():
                total[reason] = total.get(reason, 0) + count
        return total
