"""How much is shown of whose turns, and where: the operator's rules, and what follows from them.

Each rule names any of a channel, an agent and a kind of session, and sets a level, a placement or both. Of
the rules that fit a session the most specific decides: one that names the channel comes before all that do
not, then one that names the agent, then one that names the kind. Level and placement are decided apart. There
are no ties: two rules that name the same are an error of the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from status_watcher.model import AgentId, ChannelId


class Level(StrEnum):
    """How much of a turn is shown."""

    OFF = "off"
    """No box, whatever happens."""
    COMPACT = "compact"
    """The first line alone."""
    NORMAL = "normal"
    DETAILED = "detailed"
    """Twice the lines of `MAX_STATUS_LINES`, and twice as much of each."""


class SessionKind(StrEnum):
    """What a rule may call a session."""

    CHANNEL = "channel"
    DM = "dm"
    CRON = "cron"
    HOOK = "hook"
    EXPLICIT = "explicit"
    """Made under a name, or talking to nobody in Mattermost: CLI, webchat, API."""
    SUBAGENT = "subagent"
    """With a box of its own only where its parent is not followed."""


class Placing(Enum):
    """Where a box goes, seen from the conversation."""

    CONVERSATION = auto()
    """In its thread if it is in one, else in the channel."""
    THREAD = auto()
    """In its thread, else in that of the message which began the turn, where that is known."""
    CHANNEL = auto()
    """In the channel, also for a conversation in a thread."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """In one channel, wherever the conversation is."""

    channel: ChannelId


Placement = Placing | Fixed


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said of the sessions that it fits; None names nothing, or sets nothing."""

    channel: ChannelId | None = None
    agent: AgentId | None = None
    kind: SessionKind | None = None
    level: Level | None = None
    placement: Placement | None = None

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The greater, the more specific."""
        return self.channel is not None, self.agent is not None, self.kind is not None


@dataclass(frozen=True, slots=True)
class Asked:
    """A session as rules see it."""

    agent: AgentId
    kind: SessionKind
    channel: ChannelId | None
    """That of the conversation, else `DEFAULT_CHANNEL`; None for direct messages."""
    direct: bool = False
    """It is, or belongs to, a direct message."""


class Policy:
    """All rules; without any, everything is shown at normal detail in its conversation."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules = tuple(sorted(rules, key=lambda rule: rule.rank, reverse=True))

    def level(self, asked: Asked) -> Level:
        """How much is shown of that session's turns."""
        found = self._first(asked, lambda rule: rule.level is not None)
        return (found.level if found is not None else None) or Level.NORMAL

    def placement(self, asked: Asked) -> Placement:
        """Where its boxes go.

        Out of a direct message only by a rule that names them: one that gathers all boxes in a channel would
        show there what was said in private.
        """
        found = self._first(
            asked,
            lambda rule: (
                rule.placement is not None
                and not (
                    isinstance(rule.placement, Fixed) and asked.direct and rule.kind is not SessionKind.DM
                )
            ),
        )
        return (found.placement if found is not None else None) or Placing.CONVERSATION

    def level_below(self, agent: AgentId, channel: ChannelId | None) -> Level:
        """How much is shown of a sub-agent of that agent within its root's box; only rules that name the kind
        count there, and detailed is what the box has.
        """
        asked = Asked(agent, SessionKind.SUBAGENT, channel)
        found = self._first(asked, lambda rule: rule.level is not None)
        if found is None or found.level is None or found.kind is None:
            return Level.NORMAL
        return found.level

    def _first(self, asked: Asked, sets: Callable[[Rule], bool]) -> Rule | None:
        return next((rule for rule in self._rules if _fits(rule, asked) and sets(rule)), None)


NO_RULES: Final = Policy()


def _fits(rule: Rule, asked: Asked) -> bool:
    return (
        rule.channel in {None, asked.channel}
        and rule.agent in {None, asked.agent}
        and rule.kind in {None, asked.kind}
    )
