"""What the publisher knows of one box's post, from the first change to the last acknowledgement."""

import math
from dataclasses import dataclass, field

from status_watcher.core.post import BoxRecord
from status_watcher.core.throttle import Pace, due_s
from status_watcher.model import BoxId, PostId, Target


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
    urgent: bool = False
    """Goes before others: the turn has ended."""
    ended: bool = False
    only_tick: bool = False
    """What is owed is an edit of the elapsed time alone."""
    pace: Pace = field(default_factory=Pace)
    parked_until_s: float = -math.inf
    parkings: int = 0

    withdrawn: bool = False
    wanted_again: bool = False
    """Touched after it was withdrawn."""
    gone: bool = False
    """A person deleted the post: quiet for the rest of this turn."""
    halted: bool = False
    """The server will refuse whatever we send."""
    renewed: bool = False
    shortened: bool = False
    settled_at_s: float = 0.0

    @property
    def silent(self) -> bool:
        return (self.gone or self.halted) and not self.withdrawn

    @property
    def due_s(self) -> float:
        return max(due_s(self.pace, tick=self.only_tick), self.parked_until_s)

    def is_owed(self, now_s: float) -> bool:
        """Something is to be sent, or under way, that could be delivered if the server were well."""
        return self.in_flight or (self.changed and not self.silent and self.parked_until_s <= now_s)

    @property
    def may_be_dropped(self) -> bool:
        """The turn has ended, and nothing is to be sent any more."""
        if self.in_flight or self.withdrawn or self.ghosts:
            return False
        return self.urgent if self.silent else self.ended and not self.changed

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
