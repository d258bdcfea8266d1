"""What the publisher knows of one box's post, from the first change to the last acknowledgement."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from status_watcher.core.budget import Bucket, full
from status_watcher.core.post import BoxRecord
from status_watcher.core.throttle import EVENTS, Pace, Plain, due_s
from status_watcher.model import (
    BoxId,
    ChannelId,
    ChannelTarget,
    DirectTarget,
    Making,
    PostId,
    Target,
    Urgency,
    UserId,
)

Order = tuple[int, float]
"""A rank, and a time: the lower goes first."""

HEAD_START_S = 60.0
"""What is worth more than further lines waits for the budget as if it were so much older: it goes first, and
still no box that only has lines to show waits for ever.
"""


@dataclass(slots=True, eq=False)
class Delivery:
    """One post's state; changed only on the loop, and by one worker at a time while `in_flight`.

    Desired text: none is kept, it is rendered when due. Acknowledged text: `may_say`.
    """

    box_id: BoxId
    known: bool = False
    """The ledger has been asked about this box."""
    target: Target | None = None
    nonce: str = ""
    intent_at_ms: int = 0
    in_doubt: bool = False
    """A create may have reached the server: look before creating."""
    post_id: PostId | None = None
    may_say: frozenset[bytes] | None = None
    """Digests of the texts that the post may have now: one when the last edit was acknowledged, more after
    edits whose answer was lost, None when nobody knows."""
    ghosts: frozenset[bytes] = frozenset()
    """Digests of texts whose edit had no answer: a slow server may still write them, over newer ones."""
    ghosts_until_s: float = 0.0

    changed: bool = False
    """The box has changed since the text that the post has, or is being given, was rendered."""
    changed_at_s: float = 0.0
    in_flight: bool = False
    urgency: Urgency = Urgency.TICK
    """What the change is worth that is owed; of none, what the last one was."""
    sending: Urgency = Urgency.TICK
    """The same of the change that is, or was, under way."""
    making: Making = Making.ANYWHERE
    """As of what was rendered last."""
    over: bool = False
    """The turn has ended, as far as was heard."""
    ended: bool = False
    """The post says that the turn has ended."""
    pace: Pace = field(default_factory=Pace)
    events: Bucket = field(default_factory=lambda: full(EVENTS, 0.0))
    """What is left of its allowance to go ahead of the interval."""
    ahead: bool = False
    """Some of that was spent for the change that is owed, or under way."""
    plain: Plain = field(default_factory=Plain)
    cost_row: bool = False
    """The errand under way has made the server write the post, or may have."""
    paid: bool = False
    """A token was spent for the errand under way."""
    held: bool = False
    """The budget has let it wait."""
    parked_until_s: float = -math.inf
    parkings: int = 0

    withdrawn: bool = False
    wanted_again: bool = False
    """Touched after it was withdrawn."""
    gone: bool = False
    """A person deleted the post: quiet for the rest of this turn."""
    halted: bool = False
    """The server will refuse whatever we send."""
    hidden_told: bool | None = None
    """What was told of `hidden` last; None: nothing."""
    renewed: bool = False
    shortened: bool = False
    settled_at_s: float = 0.0

    def owe_again(self) -> None:
        """What is under way does not arrive, or not as it was meant."""
        self.changed, self.urgency = True, max(self.urgency, self.sending)

    @property
    def silent(self) -> bool:
        return (self.gone or self.halted) and not self.withdrawn

    @property
    def hidden(self) -> bool:
        """Nobody can see it: a person deleted the post, or there is none and the server refused it."""
        return self.gone or (self.post_id is None and (self.halted or self.parkings > 0))

    @property
    def due_s(self) -> float:
        return max(due_s(self.pace, self.urgency), self.parked_until_s)

    @property
    def order(self) -> Order:
        """Its place among those that are due: deletions, which cost nothing, then ended boxes, then by age of
        the change with a head start for first posts and for what is worth more than lines, ticks last.
        """
        if self.withdrawn:
            return (0, self.changed_at_s)
        if self.urgency is Urgency.TICK:
            return (3, self.changed_at_s)
        if self.urgency is Urgency.END:
            return (1, self.changed_at_s)
        ahead = self.post_id is None or self.urgency > Urgency.LINES
        return (2, self.changed_at_s - (HEAD_START_S if ahead else 0.0))

    def is_owed(self, now_s: float) -> bool:
        """Something is to be sent, or under way, that could be delivered if the server were well."""
        return self.in_flight or (self.changed and not self.silent and self.parked_until_s <= now_s)

    @property
    def may_be_dropped(self) -> bool:
        """The turn has ended, and nothing is to be sent any more."""
        if self.in_flight or self.withdrawn or self.ghosts:
            return False
        return self.over if self.silent else self.ended and not self.changed

    def thread(self, direct_channel: Callable[[UserId], ChannelId | None]) -> ChannelTarget | None:
        """Where a reply to it goes; None while there is no post, or where a person has deleted it."""
        if self.post_id is None or self.gone or self.withdrawn:
            return None
        match self.target:
            case ChannelTarget(channel_id, root_id):
                return ChannelTarget(channel_id, root_id or self.post_id)
            case DirectTarget(user_id):
                channel = direct_channel(user_id)
                return None if channel is None else ChannelTarget(channel, self.post_id)
            case None:
                return None
            case _:
                assert_never(self.target)

    def record(self) -> BoxRecord:
        """What is to outlive the process; only once the target is known."""
        if self.target is None:
            raise RuntimeError("a box without a target has nothing to remember")
        sure = self.may_say is not None and len(self.may_say) == 1 and not self.ghosts
        text = next(iter(self.may_say)) if sure and self.may_say else None
        return BoxRecord(
            self.box_id,
            self.target,
            self.nonce,
            self.intent_at_ms,
            self.post_id,
            text,
            ended=self.ended,
            gone=self.gone,
            renewed=self.renewed,
        )

    def learn(self, record: BoxRecord, *, trust_text: bool, ghosts_until_s: float) -> None:
        """Takes over what the ledger knows; where that is not the text, an edit may still be on its way."""
        self.known = True
        self.target = record.target
        self.nonce = record.nonce
        self.intent_at_ms = record.intent_at_ms
        self.post_id = record.post_id
        self.in_doubt = record.post_id is None and record.nonce != ""
        text = record.text_sha256 if trust_text else None
        self.may_say = None if text is None else frozenset((text,))
        if self.may_say is None and record.post_id is not None:
            self.ghosts, self.ghosts_until_s = frozenset((b"",)), ghosts_until_s
        self.ended = record.ended
        self.gone = record.gone
        self.renewed = record.renewed
