"""What may be set about publishing."""

from dataclasses import dataclass, field
from typing import Final

from status_watcher.core.budget import Budget
from status_watcher.core.throttle import Patience

WORKERS: Final = 4
"""As many as the client has connections: a wait in its pool would count towards a request's timeout."""


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Times in seconds."""

    throttle_s: float = 0.5
    """Between two edits of one post."""
    edits_per_s: float = 5.0
    """Of all posts together, in the long run; 0 for no limit."""
    edits_burst: float = 20.0
    """So many may go at once after a quiet time, or a second's worth where that is more."""
    patience: Patience = field(default_factory=Patience)
    tick_s: float = 15.0
    """Between an edit and one that changes nothing but the elapsed time."""
    token_probe_s: float = 30.0
    """After a refused token, until it is tried again; up to two thirds are added at random."""
    park_s: float = 600.0
    """After a channel or a post was denied us, until it is tried again; doubles twice."""
    ghost_s: float = 30.0
    """How long an edit without an answer may still reach the post, over newer ones; then the post is read."""
    repost_deleted: bool = False
    """After a person deleted a box's post: make one new post, instead of staying quiet for that turn."""
    keep_settled_s: float = 60.0
    """For which an ended box is kept in memory; after that it is read from the ledger when asked for."""

    @property
    def budget(self) -> Budget | None:
        """None for no limit."""
        if self.edits_per_s <= 0:
            return None
        return Budget(self.edits_per_s, max(self.edits_burst, self.edits_per_s, 2.0))
