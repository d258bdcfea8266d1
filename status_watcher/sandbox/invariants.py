"""What a well-behaved bot never does, watched for as it talks to the sandbox."""

from status_watcher.sandbox.mentions import live_names
from status_watcher.sandbox.records import Edit, StoreEvent
from status_watcher.sandbox.store import Store
from status_watcher.sandbox.traffic import Traffic

MAX_CONNECTIONS = 4
_EVERYONE = frozenset({"all", "channel", "here"})
# How much closer two requests may arrive than they were sent: one was held up on its way.
_ARRIVAL_JITTER_S = 0.05


class MentionWatch:
    """Collects the bot's texts that would notify someone, or look as if they did."""

    def __init__(self, store: Store, bot_id: str) -> None:
        self._store = store
        self._bot_id = bot_id
        self.found: list[str] = []

    def see(self, event: StoreEvent) -> None:
        post = event.post
        if event.kind not in ("posted", "post_edited") or post is None or post.user_id != self._bot_id:
            return
        known = _EVERYONE | {user.username.lower() for user in self._store.users.values()}
        if live := live_names(post.message, post.props) & known:
            self.found.append(f"{event.kind} {post.id} mentions {', '.join(sorted(live))}")


def edit_violations(edits: list[Edit], throttle_s: float | None) -> list[str]:
    """Edits that changed nothing, and edits closer than `throttle_s` to the one before (None: any pace)."""
    found = []
    last_s: dict[str, float] = {}
    for edit in edits:
        if not edit.moved_edit_at:
            found.append(f"edit of {edit.post_id} changes nothing")
        before_s = last_s.get(edit.post_id)
        if throttle_s is not None and before_s is not None:
            gap_s = edit.at_monotonic_s - before_s
            if gap_s < throttle_s - _ARRIVAL_JITTER_S:
                found.append(f"edit of {edit.post_id} comes {gap_s:.3f} s after the one before")
        last_s[edit.post_id] = edit.at_monotonic_s
    return found


def connection_violations(traffic: Traffic, bot_id: str) -> list[str]:
    busy = traffic.peak_busy.get(bot_id, 0)
    return [f"{busy} connections busy at one time"] if busy > MAX_CONNECTIONS else []
