"""A session that is told anew from its beginning, because its store says that other entries are its own now.

OpenClaw 2026.9.6 rewrites the end of a transcript in place, and its active branch can go back to before a
turn. The new fold knows nothing of what is gone; what is remembered of the old one is which turns had their
chance of a box.
"""

from status_watcher.core.session import Session
from status_watcher.core.turn import Turn
from status_watcher.model import EntryId


def carry_over(old: Session, new: Session, now_ms: int, *, keep_departed: bool) -> frozenset[EntryId]:
    """Make `new` the continuation of `old`; returns the turns that are no news, and get no box.

    A turn that is in both goes on. One that is gone has ended: now, if it was at work. It stays
    among the turns until it is forgotten, for the sake of its box (`keep_departed`), and no further line is
    about it. Turns that `old` did not have any more, and that ended before its newest line, are no news.
    """
    new.children |= old.children
    for reason, count in old.skipped.items():
        new.skipped[reason] = max(count, new.skipped.get(reason, 0))
    known = {turn.id: turn for turn in old.turns}
    newest_ms = max((turn.seen_ms for turn in old.turns), default=0)
    revision = 1 + sum(turn.revision for turn in old.turns)
    no_news: set[EntryId] = set()
    for turn in new.turns:
        before = known.pop(turn.id, None)
        if before is None and turn.run.ending is not None and turn.seen_ms <= newest_ms:
            no_news.add(turn.id)
        if before is not None:
            _go_on(before, turn)
            turn.revision += revision
    for turn in known.values():
        old.interrupt(turn, [now_ms])
        turn.departed = True
    if keep_departed:
        new.turns[:0] = known.values()
    return frozenset(no_news)


def _go_on(before: Turn, turn: Turn) -> None:
    """What lines do not tell: when they came, and an end that the store has told."""
    turn.seen_ms, turn.ahead_ms = max(turn.seen_ms, before.seen_ms), max(turn.ahead_ms, before.ahead_ms)
    run, ended = turn.run, before.run
    unchanged = (len(turn.runs), run.last, run.last_ms) == (len(before.runs), ended.last, ended.last_ms)
    if run.ending is None and ended.ending is not None and unchanged and not before.departed:
        run.end(ended.ending, ended.ending_ms, assumed=True)
