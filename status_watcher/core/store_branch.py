"""Which entries of a transcript are on its active branch, told from the entries themselves.

A transcript is a tree: each entry names its parent, `leaf` entries move on to another one, and entries that
are appended aside move nothing. The rules are those of 2026.9.6 (its own projection of them,
`session_transcript_active_events`, is rebuilt later than the entries are written).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, assert_never

import orjson


class Kind(Enum):
    """What an entry does to the branch."""

    ENTRY = auto()
    """Grows it."""
    RESET = auto()
    """Grows it, and nothing after it branches off before it."""
    ASIDE = auto()
    LEAF = auto()
    OTHER = auto()
    """Is not part of it: the header, types that we do not know."""


@dataclass(frozen=True, slots=True)
class Node:
    """What one entry says of its place in the tree."""

    seq: int
    kind: Kind
    id: str = ""
    parent: str | None = None
    """None is the root."""
    linked: bool = True
    """Whether it names a parent at all; one that does not continues what is before it."""
    target: str | None = None
    """Of a leaf: where the branch goes on."""


_CANONICAL: Final = frozenset(
    {
        "message",
        "thinking_level_change",
        "model_change",
        "compaction",
        "reset",
        "branch_summary",
        "custom",
        "custom_message",
        "label",
        "session_info",
    }
)


def parse_node(seq: int, event: bytes) -> Node | None:
    """The place of an event in its tree; None if it is no JSON object."""
    try:
        fields = orjson.loads(event)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    kind, entry_id = fields.get("type"), _id(fields.get("id"))
    parent, linked = _id(fields.get("parentId")), "parentId" in fields
    if kind == "leaf":
        return Node(seq, Kind.LEAF, entry_id, parent or None, linked, _id(fields.get("targetId")) or None)
    if kind not in _CANONICAL or not entry_id:
        return Node(seq, Kind.OTHER, entry_id)
    if fields.get("appendMode") == "side":
        return Node(seq, Kind.ASIDE, entry_id, parent or None, linked)
    return Node(seq, Kind.RESET if kind == "reset" else Kind.ENTRY, entry_id, parent or None, linked)


def extends(node: Node, leaf: str | None) -> bool:
    """Whether the entry leaves the branch that ends in this leaf as it is, or only makes it longer."""
    match node.kind:
        case Kind.LEAF:
            return False
        case Kind.ENTRY | Kind.RESET:
            return leaf is None or not node.linked or node.parent == leaf
        case Kind.ASIDE | Kind.OTHER:
            return True


def abandoned(nodes: Iterable[Node]) -> frozenset[int]:
    """The numbers of the entries that are not on the branch of the last leaf.

    `nodes` are those of one transcript in its order. An entry whose parent is not known continues what is
    before it; entries aside are never abandoned.
    """
    tree = _Tree()
    for node in nodes:
        match node.kind:
            case Kind.LEAF:
                tree.move(node)
            case Kind.ASIDE:
                tree.parents[node.id] = node.parent
                tree.cursor = node.id
            case Kind.ENTRY | Kind.RESET:
                tree.grow(node)
            case Kind.OTHER:
                pass
            case _:
                assert_never(node.kind)
    path = set(tree.path_to(tree.leaf))
    return frozenset(seq for entry_id, seq in tree.entries if entry_id not in path)


@dataclass(slots=True)
class _Tree:
    parents: dict[str, str | None] = field(default_factory=dict)
    entries: list[tuple[str, int]] = field(default_factory=list)
    leaves: dict[str, str | None] = field(default_factory=dict)
    """Where each leaf moved the branch to: an entry may name the leaf as its parent."""
    leaf: str | None = None
    """Of the branch,"""
    cursor: str | None = None
    """and what was appended last, which may be an entry aside."""
    reset: str | None = None

    def move(self, node: Node) -> None:
        target = self._visible(node.target)
        if target is not None and target not in self.parents:
            return
        if self.reset is not None and self.reset not in self.path_to(target):
            target = self.leaf
        self.leaf = self.cursor = target
        if node.id:
            self.leaves[node.id] = target

    def grow(self, node: Node) -> None:
        parent = self._visible(node.parent)
        unknown = parent is not None and parent not in self.parents and self.leaf is not None
        beside = parent == self.cursor
        continues = not node.linked or node.kind is Kind.RESET or unknown or beside
        if continues or (self.reset is not None and self.reset not in self.path_to(parent)):
            parent = self.leaf
        self.parents[node.id] = parent
        self.entries.append((node.id, node.seq))
        self.leaf = self.cursor = node.id
        if node.kind is Kind.RESET:
            self.reset = node.id

    def path_to(self, entry_id: str | None) -> Iterator[str]:
        """From an entry back to the root."""
        walked: set[str] = set()
        while entry_id is not None and entry_id not in walked:
            walked.add(entry_id)
            yield entry_id
            entry_id = self.parents.get(entry_id)

    def _visible(self, entry_id: str | None) -> str | None:
        return self.leaves.get(entry_id, entry_id) if entry_id is not None else None


def _id(raw: Any) -> str:
    return raw if isinstance(raw, str) else ""
