"""What enabling our hook changes for the others, by the rules of three generations of gateways."""

import pytest

from status_watcher.core.hook_selection import (
    Generation,
    OtherHook,
    effect,
    enabling,
    kept_as_they_are,
    loads,
)
from status_watcher.core.openclaw_config import HookSettings

OURS = "status-watcher-hook"
SWITCH, EITHER, NAMED = Generation
A, WS = OtherHook("a"), OtherHook("ws", in_workspace=True)

NOTHING = HookSettings()
ALL = HookSettings(enabled=True)
OFF = HookSettings(enabled=False, entries={"a": True})
ENTRY_ALONE = HookSettings(entries={"a": True})
OTHER_NAMED = HookSettings(enabled=True, entries={"b": True})
ONE_DISABLED = HookSettings(enabled=True, entries={"a": False})
EXTRA = HookSettings(entries={"b": True}, extra_dirs=True)
PACK = HookSettings(enabled=True, entries={"b": True}, open_installs=True)


@pytest.mark.parametrize(
    ("hooks", "loading"),
    [
        (NOTHING, []),
        (ALL, [SWITCH, EITHER, NAMED]),
        (OFF, []),
        (ENTRY_ALONE, [EITHER, NAMED]),
        (OTHER_NAMED, [SWITCH, EITHER]),
        (ONE_DISABLED, []),
        (EXTRA, [EITHER, NAMED]),
        (PACK, [SWITCH, EITHER, NAMED]),
    ],
    ids=["nothing", "all", "off", "entry alone", "another named", "disabled", "extra dirs", "pack"],
)
def test_a_hook_loads_where_the_gateways_rule_selects_it(hooks, loading):
    assert [generation for generation in Generation if loads(hooks, A, generation)] == loading


def test_a_workspaces_hook_needs_its_own_word_but_in_the_oldest():
    assert [g for g in Generation if loads(ALL, WS, g)] == [SWITCH]
    named = HookSettings(enabled=True, entries={"ws": None})
    assert [g for g in Generation if loads(named, WS, g)] == [SWITCH]
    enabled = HookSettings(enabled=True, entries={"ws": True})
    assert [g for g in Generation if loads(enabled, WS, g)] == list(Generation)


def test_naming_ours_narrows_an_open_selection_in_the_newest_alone():
    changes = effect(ALL, enabling(ALL, OURS), [A, WS])
    assert changes.switched_off == {"a": (NAMED,)}
    assert changes.switched_on == {}


def test_the_master_switch_opens_the_selection_in_older_ones():
    changes = effect(NOTHING, enabling(NOTHING, OURS), [A])
    assert changes.switched_off == {}
    assert changes.switched_on == {"a": (SWITCH, EITHER)}


@pytest.mark.parametrize(
    "hooks", [NOTHING, ALL, OFF, ENTRY_ALONE, OTHER_NAMED, ONE_DISABLED, EXTRA, PACK], ids=str
)
@pytest.mark.parametrize("generation", [EITHER, NAMED])
def test_with_the_kept_entries_no_other_hook_changes(hooks, generation):
    others = [A, OtherHook("b"), OtherHook("c"), WS]
    kept = kept_as_they_are(hooks, OURS, others)
    after = enabling(hooks, OURS, kept)
    assert loads(after, OtherHook(OURS), generation)
    for hook in others:
        disputed = {loads(hooks, hook, g) for g in (EITHER, NAMED)} == {True, False}
        if not disputed or generation is NAMED:
            assert loads(after, hook, generation) == loads(hooks, hook, generation), hook


def test_where_nothing_changes_no_other_is_named():
    assert kept_as_they_are(OTHER_NAMED, OURS, [OtherHook("b")]) == {}
    assert kept_as_they_are(ONE_DISABLED, OURS, [A]) == {}
