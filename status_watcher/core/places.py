"""Which boxes may have a post now: so many at once are open, the others wait for a free place."""

from collections import OrderedDict

from status_watcher.model import BoxId


class Places:
    """The places of one board.

    A box that nobody can see, since its channel refuses the post or a person has deleted it, takes no place.
    When it can be seen after all it is open beside the others, like one that is reopened.

    A box that ends while it waits needs no place: it is let in at once, for its one final post. A box that is
    reopened keeps its post, so it is not made to wait, even if for a while more are open than there are
    places.
    """

    def __init__(self, most_open: int) -> None:
        self._most_open = most_open
        self._waiting: OrderedDict[BoxId, None] = OrderedDict()
        self._ended_waiting: OrderedDict[BoxId, None] = OrderedDict()
        self._inside: dict[BoxId, bool] = {}
        """Boxes that were let in, and whether they are open."""
        self._hidden: set[BoxId] = set()
        """Boxes that were let in and take no place."""
        self._open = 0

    @property
    def open(self) -> int:
        return self._open

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def join(self, box_id: BoxId) -> None:
        """A new box asks for a place."""
        self._waiting[box_id] = None

    def has(self, box_id: BoxId) -> bool:
        """Whether the box was let in."""
        return box_id in self._inside

    def set_open(self, box_id: BoxId, *, is_open: bool) -> None:
        """The box's turn has ended, or goes on."""
        was_open = self._inside.get(box_id)
        if was_open is not None:
            self._inside[box_id] = is_open
            if box_id not in self._hidden:
                self._open += is_open - was_open
        elif is_open:
            if box_id in self._ended_waiting:
                del self._ended_waiting[box_id]
                self._waiting[box_id] = None
        elif box_id in self._waiting:
            del self._waiting[box_id]
            self._ended_waiting[box_id] = None

    def set_hidden(self, box_id: BoxId, *, hidden: bool) -> bool:
        """Nobody can see the box, or people can again; returns whether that is news."""
        if box_id not in self._inside or hidden == (box_id in self._hidden):
            return False
        if hidden:
            self._hidden.add(box_id)
            self._open -= self._inside[box_id]
        else:
            self._hidden.discard(box_id)
            self._open += self._inside[box_id]
        return True

    def leave(self, box_id: BoxId) -> None:
        """The box is no more."""
        self.set_hidden(box_id, hidden=False)
        self._open -= self._inside.pop(box_id, False)
        self._waiting.pop(box_id, None)
        self._ended_waiting.pop(box_id, None)

    def rename(self, old: BoxId, new: BoxId) -> None:
        """The box keeps its place, or its turn in the queue, under another name."""
        if old in self._inside:
            self._inside[new] = self._inside.pop(old)
        if old in self._hidden:
            self._hidden.remove(old)
            self._hidden.add(new)
        for queue in (self._waiting, self._ended_waiting):
            if old in queue:
                names = [new if name == old else name for name in queue]
                queue.clear()
                queue.update(dict.fromkeys(names))

    def let_in(self) -> list[BoxId]:
        """The boxes that get in now: all that ended while waiting, then the oldest for each free place."""
        entering = list(self._ended_waiting)
        self._ended_waiting.clear()
        self._inside |= dict.fromkeys(entering, False)
        while self._waiting and self._open < self._most_open:
            box_id, _ = self._waiting.popitem(last=False)
            self._inside[box_id] = True
            self._open += 1
            entering.append(box_id)
        return entering
