"""Which rule decides."""

import itertools

import pytest

from status_watcher.core.policy import Asked, Fixed, Level, Placing, Policy, Rule, SessionKind
from status_watcher.model import AgentId, ChannelId

TOWN, JOBS = ChannelId("town" + "x" * 22), ChannelId("jobs" + "x" * 22)
MAIN, OTHER = AgentId("main"), AgentId("other")
CRON = Asked(MAIN, SessionKind.CRON, TOWN)
DM = Asked(MAIN, SessionKind.DM, None, direct=True)


def test_without_rules_everything_is_shown_at_normal_detail_where_the_conversation_is():
    assert Policy().level(CRON) is Level.NORMAL
    assert Policy().placement(CRON) is Placing.CONVERSATION


# From the least specific to the most.
SELECTORS = [
    {},
    {"kind": SessionKind.CRON},
    {"agent": MAIN},
    {"agent": MAIN, "kind": SessionKind.CRON},
    {"channel": TOWN},
    {"channel": TOWN, "kind": SessionKind.CRON},
    {"channel": TOWN, "agent": MAIN},
    {"channel": TOWN, "agent": MAIN, "kind": SessionKind.CRON},
]


@pytest.mark.parametrize(("less", "more"), list(itertools.combinations(range(len(SELECTORS)), 2)))
@pytest.mark.parametrize("turned", [False, True])
def test_more_specific_rule_decides_in_whatever_order_they_stand(less, more, turned):
    rules = (Rule(**SELECTORS[less], level=Level.OFF), Rule(**SELECTORS[more], level=Level.DETAILED))
    assert Policy(rules[::-1] if turned else rules).level(CRON) is Level.DETAILED


@pytest.mark.parametrize(
    "selector",
    [{"channel": JOBS}, {"agent": OTHER}, {"kind": SessionKind.HOOK}, {"agent": MAIN, "channel": JOBS}],
)
def test_rule_about_others_decides_nothing(selector):
    assert Policy((Rule(**selector, level=Level.OFF),)).level(CRON) is Level.NORMAL


def test_level_and_placement_are_decided_apart():
    policy = Policy(
        (Rule(kind=SessionKind.CRON, placement=Fixed(JOBS)), Rule(agent=MAIN, level=Level.COMPACT))
    )
    assert policy.level(CRON) is Level.COMPACT
    assert policy.placement(CRON) == Fixed(JOBS)


def test_direct_messages_are_gathered_in_a_channel_only_by_a_rule_that_names_them():
    everything = Rule(placement=Fixed(JOBS))
    assert Policy((everything,)).placement(CRON) == Fixed(JOBS)
    assert Policy((everything, Rule(agent=MAIN, placement=Fixed(JOBS)))).placement(DM) is Placing.CONVERSATION
    assert Policy((everything, Rule(kind=SessionKind.DM, placement=Fixed(TOWN)))).placement(DM) == Fixed(TOWN)
    orphan = Asked(MAIN, SessionKind.SUBAGENT, None, direct=True)
    named = Rule(kind=SessionKind.SUBAGENT, placement=Fixed(JOBS))
    assert Policy((named,)).placement(orphan) is Placing.CONVERSATION


def test_only_rules_that_name_sub_agents_say_how_much_of_them_a_box_shows():
    compact = Rule(level=Level.COMPACT)
    off = Rule(kind=SessionKind.SUBAGENT, level=Level.OFF)
    assert Policy((compact,)).level_below(MAIN, TOWN) is Level.NORMAL
    assert Policy((compact, off)).level_below(MAIN, TOWN) is Level.OFF
    assert Policy((off, Rule(channel=TOWN, level=Level.NORMAL))).level_below(MAIN, TOWN) is Level.NORMAL
