"""Sessions that have to be found: boxes are open for them, so what became of them must be told."""

from collections.abc import Collection, Iterable

from status_watcher.edge.intervals import GONE_S
from status_watcher.model import AgentId, SessionId
from status_watcher.source import Sink, TranscriptGone


class Wanted:
    """Kept by agent until somebody follows that agent, or until it has been away for a while.

    `add` may be called from any thread, everything else from one.
    """

    def __init__(self) -> None:
        self._sessions: dict[AgentId, frozenset[SessionId]] = {}
        self._homeless_since: dict[AgentId, float] = {}

    def add(self, agent: AgentId, session_ids: Iterable[SessionId]) -> None:
        self._sessions[agent] = self._sessions.get(agent, frozenset()) | frozenset(session_ids)

    def take(self, agent: AgentId) -> frozenset[SessionId]:
        """Whoever takes them looks for them."""
        return self._sessions.pop(agent, frozenset())

    def tell_homeless(self, there: Collection[AgentId], now_s: float, sink: Sink) -> None:
        """Those of an agent that is not there are missing after a while; to be asked while others are."""
        for agent in list(self._sessions):
            if agent in there:
                self._homeless_since.pop(agent, None)
                continue
            if now_s - self._homeless_since.setdefault(agent, now_s) >= GONE_S:
                for session_id in sorted(self.take(agent)):
                    sink(TranscriptGone(agent, session_id, "missing"))
