"""What the stores say of sessions: entries and keys, since when, and which of them are gone for good."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from status_watcher.core.believed import believed
from status_watcher.core.index import StoreEntry
from status_watcher.core.routing import agent_of
from status_watcher.core.skew import Skew
from status_watcher.model import AgentId, SessionId, SessionKey
from status_watcher.source import IndexSeen

SessionRef = tuple[AgentId, SessionId]

ABSENT_FOR_MS: Final = 5_000
"""How long apart two looks at the index must be that both lack an entry before that means anything."""


@dataclass(slots=True)
class _AgentIndex:
    entries: Mapping[SessionKey, StoreEntry] = field(default_factory=dict)
    told: Mapping[SessionKey, StoreEntry] = field(default_factory=dict)
    """The entries as they were handed over, by the clock of whoever wrote them."""
    present: set[SessionRef] = field(default_factory=set)
    absent_since: dict[SessionRef, int] = field(default_factory=dict)
    """Sessions that the last look lacked but not yet for long, with the time of the first look that did."""


class Entries:
    """The stores of all agents, fed by looks at them."""

    def __init__(self) -> None:
        self._index: dict[AgentId, _AgentIndex] = {}
        self._keys: dict[SessionRef, SessionKey] = {}
        self._refs: dict[SessionKey, SessionRef] = {}
        self._absent_long: dict[SessionRef, int] = {}
        """Sessions that the store has no more, with the time of the first look that lacked them."""
        self._succeeded: dict[SessionRef, int] = {}
        """Sessions whose key has another one since then."""
        self._back: dict[SessionRef, int] = {}
        """Sessions that a look had lacked, and since when they are there again."""
        self._filed_as: dict[SessionRef, SessionRef] = {}
        self._word_since: dict[SessionRef, tuple[tuple[object, ...], int]] = {}

    def take(
        self, news: IndexSeen, followed: Collection[SessionRef], now_ms: int, skew: Skew
    ) -> set[SessionRef]:
        """Take a look at a store; returns the sessions that it says something new about.

        `followed`: all sessions of which there are lines.
        """
        index = self._index.setdefault(news.agent, _AgentIndex())
        touched: set[SessionRef] = set()
        absent = set(index.absent_since)
        if news.entries is not index.told:
            told_before, index.told = index.told, news.entries
            if skew.ahead_ms:
                # What has not changed was told by the clock of its own time.
                entries = {
                    key: index.entries[key] if told_before.get(key) == entry else skew.of_store(entry)
                    for key, entry in news.entries.items()
                }
                news = replace(news, entries=entries)
            news = replace(news, entries=believed(index.entries, news.entries))
            touched = self._compare(index.entries, news, now_ms)
            index.entries = news.entries
            before = index.present
            index.present = {(news.agent, entry.session_id) for entry in news.entries.values()}
            absent |= before - index.present
            for ref in index.present:
                if ref in index.absent_since:
                    self._back[ref] = now_ms
                self._absent_long.pop(ref, None)
                self._succeeded.pop(ref, None)
        absent |= {ref for ref in followed if ref[0] == news.agent}
        absent -= index.present | self._absent_long.keys()
        index.absent_since = {ref: index.absent_since.get(ref, now_ms) for ref in absent}
        long = {ref for ref, since_ms in index.absent_since.items() if now_ms >= since_ms + ABSENT_FOR_MS}
        for ref in long:
            self._absent_long[ref] = index.absent_since.pop(ref)
        return touched | long

    def _compare(self, old: Mapping[SessionKey, StoreEntry], news: IndexSeen, now_ms: int) -> set[SessionRef]:
        """Take over what a look shows anew; returns the sessions that it says something new about."""
        keys: dict[SessionId, SessionKey] = {}
        for key, entry in news.entries.items():
            # A cron run has two keys for one session (2026.2.26): the shorter is the job's own.
            if entry.session_id not in keys or len(key) < len(keys[entry.session_id]):
                keys[entry.session_id] = key
        touched: set[SessionRef] = set()
        for session_id, key in keys.items():
            entry = news.entries[key]
            ref = (news.agent, session_id)
            if old.get(key) == entry and self._keys.get(ref) == key:
                continue
            self._keys[ref] = key
            self._refs[key] = ref
            word = (entry.status, entry.started_at_ms, entry.ended_at_ms)
            if self._word_since.get(ref, (None, 0))[0] != word:
                self._word_since[ref] = (word, now_ms)
            touched.add(ref)
        for key, entry in old.items():
            current = news.entries.get(key)
            if current is not None and current.session_id != entry.session_id:
                touched.add((news.agent, entry.session_id))
                self._succeeded.setdefault((news.agent, entry.session_id), now_ms)
        return touched

    def entry(self, agent: AgentId, key: SessionKey) -> StoreEntry | None:
        """The entry of a key: in the store of the agent that the key names, else in the asking agent's."""
        for name in (agent_of(key), agent):
            index = self._index.get(name)
            if index is not None:
                found = index.entries.get(key)
                if found is not None:
                    return found
        return None

    def ref_of(self, agent: AgentId, key: SessionKey) -> SessionRef | None:
        """The session that a key has now, or had last."""
        for name in (agent_of(key), agent):
            index = self._index.get(name)
            if index is not None and key in index.entries:
                return name, index.entries[key].session_id
        return self._refs.get(key)

    def last_ref_of(self, key: SessionKey) -> SessionRef | None:
        """The session that was last seen to get that key."""
        return self._refs.get(key)

    def key(self, ref: SessionRef) -> SessionKey | None:
        """The key under which the store has, or had, this session, or the one that its file is named for."""
        filed_as = self._filed_as.get(ref)
        return self._keys.get(ref) or (self._keys.get(filed_as) if filed_as is not None else None)

    def file_as(self, ref: SessionRef, other: SessionRef) -> None:
        """The store has its transcript as that of another session."""
        self._filed_as[ref] = other

    def own_entry(self, ref: SessionRef) -> StoreEntry | None:
        """The store's entry of this very session, not of a successor under the same key."""
        key = self._keys.get(ref)
        entry = self.entry(ref[0], key) if key is not None else None
        return entry if entry is not None and entry.session_id == ref[1] else None

    def has_index(self, agent: AgentId) -> bool:
        """Whether this agent's store was ever readable."""
        return agent in self._index

    def word_since_ms(self, ref: SessionRef, now_ms: int) -> int:
        """Since when the store has said of this session what it says now."""
        return self._word_since.get(ref, ((), now_ms))[1]

    def is_out_of_store(self, ref: SessionRef) -> bool:
        """The store has this session no more: its key has another one (a reset), or two looks lacked it."""
        key = self._keys.get(ref)
        entry = self.entry(ref[0], key) if key is not None else None
        return ref in self._absent_long or (entry is not None and entry.session_id != ref[1])

    def undoubted_ms(self, ref: SessionRef) -> int | None:
        """Since when no look has lacked it; None if the last one did, which alone means nothing."""
        index = self._index.get(ref[0])
        if index is not None and ref in index.absent_since and ref in self._keys:
            return None
        return self._back.get(ref, 0)

    def succeeded_ms(self, ref: SessionRef) -> int | None:
        """Since when its key has another session (a reset), while no other key has this one."""
        return self._succeeded.get(ref)

    def left_ms(self, ref: SessionRef) -> int | None:
        """Since when the store has this session no more, if it was seen to have had it."""
        if ref not in self._keys:
            return None
        return self._succeeded.get(ref, self._absent_long.get(ref))

    def forget(self, ref: SessionRef) -> SessionKey | None:
        """Drop what is known of a session; returns the key that names nothing any more, if there is one."""
        freed = None
        key = self._keys.pop(ref, None)
        if key is not None and self._refs.get(key) == ref:
            del self._refs[key]
            freed = key
        self._word_since.pop(ref, None)
        self._absent_long.pop(ref, None)
        self._succeeded.pop(ref, None)
        self._filed_as.pop(ref, None)
        self._back.pop(ref, None)
        return freed
