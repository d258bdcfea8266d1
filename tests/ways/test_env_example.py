"""deploy/status-watcher.env.example: complete, and readable by systemd and by Docker alike."""

import re
from pathlib import Path

from status_watcher.config import Config, ConfigErrors, load

EXAMPLE = Path(__file__).parents[2] / "deploy" / "status-watcher.env.example"

DEFAULTS = {
    "MM_TOKEN": "",
    "MM_TOKEN_FILE": "",
    "MATTERMOST_BOT_TOKEN": "",
    "MM_BOT_TOKEN": "",
    "MM_URL": "https://mattermost.example.com",
    "MATTERMOST_URL": "",
    "MM_BASE_URL": "",
    "TRANSCRIPT_DIR": "",
    "SESSIONS_JSON": "",
    "OPENCLAW_STATE_DIR": "",
    "THROTTLE_MS": "500",
    "EDITS_PER_SECOND": "5",
    "IDLE_TIMEOUT_S": "60",
    "MAX_SESSION_DURATION_S": "1800",
    "STALL_MODEL_S": "300",
    "STALL_TOOL_S": "300",
    "STALL_TOOLS": "",
    "STALL_NOTIFY": "off",
    "MAX_STATUS_LINES": "15",
    "MAX_ACTIVE_SESSIONS": "20",
    "MAX_MESSAGE_CHARS": "15000",
    "HEALTH_PORT": "9090",
    "HEALTH_HOST": "127.0.0.1",
    "HEALTH_TOKEN": "",
    "EVENTS_WEBHOOK_URL": "",
    "LOKI_PUSH_URL": "",
    "LOG_LEVEL": "info",
    "PID_FILE": "/tmp/status-watcher.pid",
    "STATE_DIR": "",
    "CIRCUIT_BREAKER_THRESHOLD": "5",
    "CIRCUIT_BREAKER_COOLDOWN_S": "30",
    "TOOL_LABELS_FILE": "",
    "ON_DELETED_POST": "quiet",
    "POST_TYPE": "custom_status_watcher",
    "DEFAULT_CHANNEL": "",
    "POLICY_FILE": "",
    "LABELS_FILE": "",
    "LINK_HOSTS": "",
    "HTTPS_PROXY": "",
    "NO_PROXY": "",
    "SSL_CERT_FILE": "",
}
ASSIGNMENT = re.compile(r"(?P<off>#?)(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def assignments() -> list[re.Match[str]]:
    return [found for line in EXAMPLE.read_text().splitlines() if (found := ASSIGNMENT.fullmatch(line))]


def test_every_variable_stands_there_once_with_its_default():
    shown = [(found["name"], found["value"]) for found in assignments()]
    assert len(shown) == len(set(shown))
    assert dict(shown) == DEFAULTS


def test_only_the_required_ones_are_set():
    assert [found["name"] for found in assignments() if not found["off"]] == ["MM_URL", "MM_TOKEN"]


def test_values_mean_the_same_to_systemd_and_to_docker():
    # systemd.exec(5) strips quotes, joins lines ending in a backslash and knows no comment behind a value;
    # `docker run --env-file` takes everything behind the first "=" literally.
    for line in EXAMPLE.read_text().splitlines():
        assert line == line.strip()
        assert not line or line.startswith("#") or ASSIGNMENT.fullmatch(line), line
        assert not line.endswith("\\")
    for found in assignments():
        assert not re.search(r"[\s\"'\\#$`]", found["value"]), found[0]


def test_every_variable_is_explained():
    paragraphs = EXAMPLE.read_text().split("\n\n")
    for paragraph in paragraphs:
        if any(ASSIGNMENT.fullmatch(line) for line in paragraph.splitlines()):
            explained = paragraph.startswith("# ") or "#HTTPS_PROXY=" in paragraph
            assert explained, paragraph


def test_defaults_shown_are_the_defaults():
    required = {"MM_URL": "https://mattermost.example.com", "MM_TOKEN": "t" * 26, "HOME": "/home/openclaw"}
    shown = {found["name"]: found["value"] for found in assignments() if found["value"]}
    config = load(required)
    assert isinstance(config, Config)
    assert load({**shown, **required}) == config


def test_file_as_it_stands_is_refused_for_its_empty_token_alone():
    as_it_stands = {found["name"]: found["value"] for found in assignments() if not found["off"]}
    refused = load({**as_it_stands, "HOME": "/home/openclaw"})
    assert isinstance(refused, ConfigErrors)
    [line] = refused.lines
    assert line.startswith("MM_TOKEN:")
