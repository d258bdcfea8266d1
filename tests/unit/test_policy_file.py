"""The file of rules: what it says, and how it is refused."""

from pathlib import Path

import pytest

from status_watcher.core.policy import Asked, Fixed, Level, Placing, Policy, SessionKind
from status_watcher.model import AgentId, ChannelId
from status_watcher.policy_file import MOST_RULES, PolicyErrors, parse_policy

EXAMPLE = Path(__file__).parents[2] / "deploy" / "policy.example.toml"


def policy_of(text: str) -> Policy:
    policy = parse_policy(text.encode())
    assert isinstance(policy, Policy), policy
    return policy


def errors_of(text: str | bytes) -> tuple[str, ...]:
    errors = parse_policy(text if isinstance(text, bytes) else text.encode())
    assert isinstance(errors, PolicyErrors)
    return errors.lines


def asked(kind: SessionKind, agent: str = "main", channel: str | None = None) -> Asked:
    return Asked(AgentId(agent), kind, ChannelId(channel) if channel else None)


def test_example_says_what_its_comments_say():
    policy = policy_of(EXAMPLE.read_text(encoding="utf-8"))
    assert policy.level(asked(SessionKind.CHANNEL)) is Level.NORMAL
    assert policy.level(asked(SessionKind.CRON)) is Level.COMPACT
    assert policy.placement(asked(SessionKind.CRON)) == Fixed(ChannelId("jobschannelxxxxxxxxxxxxxxx"))
    assert policy.placement(asked(SessionKind.HOOK)) is Placing.CONVERSATION
    assert policy.level_below(AgentId("main"), None) is Level.COMPACT
    assert policy.level(asked(SessionKind.DM, "coder")) is Level.DETAILED
    assert policy.level(asked(SessionKind.CRON, "coder")) is Level.OFF
    assert policy.level(asked(SessionKind.CHANNEL, "coder", "quietchannelxxxxxxxxxxxxxx")) is Level.OFF


@pytest.mark.parametrize("text", ["", "# nothing\n", "rule = []"])
def test_file_without_rules_changes_nothing(text):
    assert policy_of(text).level(asked(SessionKind.CRON)) is Level.NORMAL


@pytest.mark.parametrize("word", ["conversation", "thread", "channel"])
def test_places_are_called_by_their_names(word):
    assert (
        policy_of(f'[[rule]]\nplacement = "{word}"').placement(asked(SessionKind.CRON))
        is Placing[word.upper()]
    )


def test_all_errors_are_told_at_once_each_with_its_rule_and_key():
    assert errors_of(
        """
        [[rule]]
        kind = "corn"
        level = 3
        [[rule]]
        kind = "cron"
        [[rule]]
        agent = "A B"
        channel = "town-square"
        placement = "thred"
        """
    ) == (
        "rule 1: kind: must be one of channel, dm, cron, hook, explicit, subagent",
        "rule 1: level: must be one of off, compact, normal, detailed",
        "rule 2: must set level, placement or both",
        "rule 3: channel: must be a channel id: 26 characters of a-z and 0-9",
        "rule 3: agent: must be an agent's id: lower-case letters, digits, - and _",
        "rule 3: placement: must be one of conversation, thread, channel, or a channel id of 26 characters",
    )


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("chanel", "chanel: is not known; did you mean channel?"),
        ("Level", "Level: is not known; did you mean level?"),
        ("placment", "placment: is not known; did you mean placement?"),
        ("zzz", "zzz: is not known; there is only channel, agent, kind, level, placement"),
    ],
)
def test_unknown_key_is_an_error_that_names_the_nearest_one(key, line):
    assert errors_of(f'[[rule]]\nlevel = "off"\n{key} = "x"') == (f"rule 1: {line}",)


def test_unknown_table_is_an_error_that_names_the_right_one():
    assert errors_of('[[rules]]\nlevel = "off"') == ("rules: is not known; did you mean rule?",)


def test_two_rules_that_name_the_same_are_an_error():
    text = '[[rule]]\nkind = "dm"\nlevel = "off"\n[[rule]]\nkind = "dm"\nplacement = "channel"'
    assert errors_of(text) == ("rule 2: names what rule 1 names; make them one",)


SECRET = "sk-" + "Abcdefgh1234" * 3


@pytest.mark.parametrize(
    "text",
    [
        f'[[rule]]\nlevel = "{SECRET}"',
        f'[[rule]]\nchannel = "{SECRET}"\nlevel = "off"',
        f'[[rule]]\nplacement = "{SECRET}"',
        f'[[rule]]\n{SECRET} = "off"',
        f'{SECRET} = "off"',
        f'[[rule]]\nlevel = "{SECRET}',
        f"[[rule]]\nlevel = {SECRET}",
        f"[[rule]]\n{SECRET}\n",
        f'rule = "{SECRET}"',
    ],
)
def test_no_error_holds_what_stands_in_the_file(text):
    lines = errors_of(text)
    assert lines
    assert SECRET not in "\n".join(lines)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"[[rule]", b"a = " + b"[" * 100_000, b"rule = 3", b"rule = [1]", b"[rule]\nlevel='off'"],
)
def test_what_is_no_file_of_rules_is_one_error(content):
    assert len(errors_of(content)) == 1


def test_broken_line_is_named():
    assert errors_of('[[rule]]\nlevel = "off"\nkind = = "dm"\n') == ("must be TOML; line 3 is not",)


def test_rules_have_a_limit():
    text = "".join(f'[[rule]]\nagent = "a{n}"\nlevel = "off"\n' for n in range(MOST_RULES + 1))
    assert errors_of(text) == (f"rule: must be at most {MOST_RULES}",)
