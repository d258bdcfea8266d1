"""Whether a turn that its own last line leaves open was at work when another line came."""

from status_watcher.core.index import StoreEntry, StoreStatus
from status_watcher.core.session import Session
from status_watcher.core.tree import Forest
from status_watcher.core.turn import Call, Run, Turn
from status_watcher.core.verdict import RUN_SLACK_MS, store_ended_ms, store_ending
from status_watcher.model import AgentId, SessionKey


def store_ran(entry: StoreEntry | None, at_ms: int) -> bool:
    """Whether the store says that a session runs, by a run that is not the one which the line of `at_ms`
    began: the store may be heard of before the line.
    """
    if entry is None or entry.status is not StoreStatus.RUNNING:
        return False
    return entry.started_at_ms is None or entry.started_at_ms <= at_ms - RUN_SLACK_MS


def children_worked(forest: Forest, agent: AgentId, turn: Turn, since_ms: int, run_started_ms: int) -> bool:
    """Whether a sub-agent of the turn, at any depth, is not known to have ended before `since_ms`.

    One that was started before this run of the daemon and has left no trace is not waited for.
    """
    seen: set[SessionKey] = set()
    ahead = [turn]
    while ahead:
        above = ahead.pop()
        for call in above.spawned:
            key = call.child
            if key is None or key in seen:
                continue
            seen.add(key)
            session, entry = forest.session_of(agent, key), forest.entry(agent, key)
            traced = session is not None or entry is not None or call.at_ms >= run_started_ms
            if traced and not _was_told(above, call, key) and _worked(session, entry, since_ms):
                return True
            ahead += session.turns if session is not None else []
    return False


def _was_told(parent: Turn, call: Call, key: SessionKey) -> bool:
    """Whether the parent was told that a sub-agent has ended (2026.2.26: by its label)."""
    reports = [told.report for told in parent.announced]
    return any(r.key == key if r.key is not None else r.label == call.child_label for r in reports)


def _worked(session: Session | None, entry: StoreEntry | None, since_ms: int) -> bool:
    run = session.turns[-1].run if session is not None and session.turns else Run(0, 0)
    if run.ending is not None:
        return run.ending_ms >= since_ms
    over = entry is not None and store_ending(run, entry) is not None
    ended_ms = store_ended_ms(run, entry) if entry is not None and over else None
    return ended_ms is None or ended_ms >= since_ms
