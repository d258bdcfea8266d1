"""The one edit of OpenClaw's configuration: minimal, with a copy, or not at all."""

import json

import pytest

from status_watcher.edge.openclaw_edit import Edited, NotEdited, enable_hooks

OURS = {"status-watcher-hook": True}


@pytest.fixture
def config(tmp_path):
    return tmp_path / "openclaw.json"


def test_the_entry_is_added_and_everything_else_stays_in_its_order(config):
    before = {
        "zeta": 1,
        "channels": {"mattermost": {"botToken": "ü€😀", "n": 12345678901234567890123}},
        "hooks": {"internal": {"entries": {"x": {"enabled": False, "env": {"A": "b"}}}}, "token": "t"},
        "alpha": [1.5, None],
    }
    config.write_text(json.dumps(before, indent=2, ensure_ascii=False))
    config.chmod(0o600)
    kept = config.read_bytes()
    edited = enable_hooks(config, {**OURS, "x": True})
    assert isinstance(edited, Edited)
    assert edited.backup.read_bytes() == kept
    after = json.loads(config.read_text())
    assert list(after) == list(before)
    internal = after["hooks"].pop("internal")
    assert internal == {
        "entries": {"x": {"enabled": True, "env": {"A": "b"}}, "status-watcher-hook": {"enabled": True}},
        "enabled": True,
    }
    before["hooks"].pop("internal")
    assert after == before
    assert {path.stat().st_mode & 0o777 for path in (config, edited.backup)} == {0o600}
    assert sorted(path.name for path in config.parent.iterdir()) == [config.name, edited.backup.name]


def test_an_empty_configuration_gets_just_the_entry(config):
    config.write_text("{}")
    assert isinstance(enable_hooks(config, OURS), Edited)
    assert json.loads(config.read_text()) == {
        "hooks": {"internal": {"enabled": True, "entries": {"status-watcher-hook": {"enabled": True}}}}
    }


def test_a_linked_configuration_stays_a_link(config, tmp_path):
    real = tmp_path / "elsewhere" / "real.json"
    real.parent.mkdir()
    real.write_text("{}")
    config.symlink_to(real)
    assert isinstance(enable_hooks(config, OURS), Edited)
    assert config.is_symlink()
    assert "hooks" in json.loads(real.read_text())


@pytest.mark.parametrize(
    "content",
    [
        "{a: 1}",
        '{"a": 1} // note',
        '{"a": 1,}',
        "[]",
        "",
        '{"a": 1, "a": 2}',
        '{"$include": "base.json"}',
        '{"hooks": {"$include": "hooks.json"}}',
        '{"hooks": {"internal": {"$include": "hooks.json"}}}',
        '{"hooks": {"internal": {"entries": {"$include": "e.json"}}}}',
        '{"hooks": {"internal": {"entries": {"status-watcher-hook": {"$include": "e.json"}}}}}',
        '{"hooks": []}',
        '{"hooks": {"internal": {"entries": {"status-watcher-hook": true}}}}',
        '{"a": "' + "x" * (1 << 20) + '"}',
        "[" * 1020 + "]" * 1020,
    ],
    ids=lambda content: content[:40],
)
def test_what_a_rewrite_would_lose_is_left_byte_for_byte(config, content):
    config.write_text(content)
    result = enable_hooks(config, OURS)
    assert isinstance(result, NotEdited)
    assert config.read_text() == content
    assert list(config.parent.iterdir()) == [config]


def test_a_missing_configuration_is_not_made(config):
    assert isinstance(enable_hooks(config, OURS), NotEdited)
    assert not config.exists()


def test_links_in_a_circle_are_a_reason(config):
    config.symlink_to(config.with_name("other"))
    config.with_name("other").symlink_to(config)
    assert isinstance(enable_hooks(config, OURS), NotEdited)
