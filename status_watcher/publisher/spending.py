"""Which edits may be made now: by the budget that all posts share, and by what each post may go ahead."""

from math import isfinite

from status_watcher.core.budget import UNLIMITED, Bucket, affords, affords_at_s, full, give_back, spend
from status_watcher.core.throttle import share_ahead
from status_watcher.model import Urgency
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.health import Counts
from status_watcher.publisher.settings import PublisherSettings


class Spending:
    """A token is taken before a request and given back where it has cost the server no row.

    All times are seconds on the loop's clock.
    """

    def __init__(self, settings: PublisherSettings, counts: Counts, now_s: float) -> None:
        self._bucket: Bucket = UNLIMITED if settings.budget is None else full(settings.budget, now_s)
        self._throttle_s = settings.throttle_s
        self._counts = counts

    def lift(self) -> None:
        """There is no budget any more."""
        self._bucket = UNLIMITED

    def worth(self, post: Delivery, urgency: Urgency, now_s: float) -> Urgency:
        """What a change is taken for: an event that goes before the interval is over needs allowance.

        Not asked while a request for the post is under way, from whose end the next interval counts.
        """
        if urgency is not Urgency.EVENT or post.ahead or (post.changed and post.urgency > urgency):
            return urgency
        share = share_ahead(post.pace, now_s, self._throttle_s)
        if share <= 0:
            return urgency
        if not affords(post.events, now_s, share):
            return Urgency.LINES
        post.events, post.ahead = spend(post.events, now_s, share), True
        return urgency

    def affords(self, post: Delivery, now_s: float) -> bool:
        """Whether the post may be sent now; counts those that may not, each once."""
        if affords(self._bucket, now_s, self._price(post)):
            return True
        if not post.held:
            self._counts.add("edits_held_back")
        post.held = True
        return False

    def affords_at_s(self, post: Delivery, now_s: float) -> float:
        """When the post can be paid for, if nothing is spent until then."""
        return affords_at_s(self._bucket, now_s, self._price(post))

    def take(self, post: Delivery, now_s: float) -> None:
        """The post is being sent."""
        post.held, post.paid = False, not post.withdrawn
        if post.paid:
            self._bucket = spend(self._bucket, now_s)

    def settle(self, post: Delivery, now_s: float) -> None:
        """The errand for which something was taken is over."""
        if post.cost_row:
            post.ahead = False
        elif post.paid:
            self._bucket = give_back(self._bucket, now_s)

    def _price(self, post: Delivery) -> float:
        """Tokens that must be left for it; all but deletions, which cost no row, then spend one."""
        if post.withdrawn:
            return 0.0
        if post.urgency is Urgency.TICK and isfinite(self._bucket.budget.burst):
            return self._bucket.budget.burst / 2  # for the elapsed time alone only out of plenty
        return 1.0
