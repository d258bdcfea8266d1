"""The settings: every variable, every default, every error, and never a value in an error."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from status_watcher.config import Config, ConfigErrors, load, load_state_dir
from status_watcher.environment import with_absolute_paths

TOKEN = "x5tqf1yz9byqwehx8jmsk4rggo"
MINIMAL = {"MM_TOKEN": TOKEN, "MM_URL": "https://chat.example.org", "HOME": "/home/op"}


def loaded(env: Mapping[str, str], files: Mapping[str, bytes] | None = None, dirs: tuple[str, ...] = ()):
    contents = files or {}
    return load(env, read_file=lambda path: contents.get(str(path)), is_dir=lambda path: str(path) in dirs)


def config_of(files: Mapping[str, bytes] | None = None, /, **env: str) -> Config:
    config = loaded(MINIMAL | env, files)
    assert isinstance(config, Config), config
    return config


def errors_of(files: Mapping[str, bytes] | None = None, /, **env: str) -> tuple[str, ...]:
    errors = loaded(MINIMAL | env, files)
    assert isinstance(errors, ConfigErrors), errors
    return errors.lines


def variables(lines: tuple[str, ...]) -> list[str]:
    return [line.partition(":")[0] for line in lines]


def test_defaults_are_those_of_the_documentation():
    config = config_of()
    assert config.model_dump(exclude={"mm_token"}) == {
        "mm_url": "https://chat.example.org",
        "transcript_dir": None,
        "sessions_json": None,
        "openclaw_state_dir": Path("/home/op/.openclaw"),
        "openclaw_config_path": Path("/home/op/.openclaw/openclaw.json"),
        "throttle_ms": 500,
        "edits_per_second": 5,
        "idle_timeout_s": 60,
        "max_session_duration_s": 1800,
        "stall_model_s": 300,
        "stall_tool_s": 300,
        "stall_tools": {},
        "stall_notify": "",
        "max_status_lines": 15,
        "max_active_sessions": 20,
        "max_message_chars": 15_000,
        "health_port": 9090,
        "health_host": "127.0.0.1",
        "health_token": None,
        "events_webhook_url": None,
        "loki_push_url": None,
        "log_level": "info",
        "pid_file": Path("/tmp/status-watcher.pid"),
        "state_dir": Path("/home/op/.local/state/status-watcher"),
        "circuit_breaker_threshold": 5,
        "circuit_breaker_cooldown_s": 30,
        "tool_labels_file": None,
        "post_type": "custom_status_watcher",
        "on_deleted_post": "quiet",
        "default_channel": None,
        "policy_file": None,
        "labels_file": None,
        "link_hosts": (),
    }
    assert config.mm_token.get_secret_value() == TOKEN


def test_every_variable_is_read():
    config = config_of(
        {"/l.json": b"{}", "/p.toml": b""},
        TRANSCRIPT_DIR="/t",
        SESSIONS_JSON="/s.json",
        OPENCLAW_STATE_DIR="/o",
        OPENCLAW_CONFIG_PATH="/c.json5",
        THROTTLE_MS="750",
        EDITS_PER_SECOND="0",
        IDLE_TIMEOUT_S="61",
        MAX_SESSION_DURATION_S="0",
        STALL_MODEL_S="61",
        STALL_TOOL_S="62",
        STALL_TOOLS="Exec=1800, browser=0",
        STALL_NOTIFY="@Anna",
        MAX_STATUS_LINES="3",
        MAX_ACTIVE_SESSIONS="4",
        MAX_MESSAGE_CHARS="16383",
        HEALTH_PORT="0",
        HEALTH_HOST="[::1]",
        HEALTH_TOKEN="only-for-us",
        EVENTS_WEBHOOK_URL="https://hooks.example.org/in?key=1",
        LOKI_PUSH_URL="http://user:password@loki:3100",
        LOG_LEVEL="DEBUG",
        PID_FILE="/p.pid",
        STATE_DIR="/state",
        CIRCUIT_BREAKER_THRESHOLD="6",
        CIRCUIT_BREAKER_COOLDOWN_S="7",
        TOOL_LABELS_FILE="/l.json",
        POST_TYPE="custom_x",
        ON_DELETED_POST="repost",
        DEFAULT_CHANNEL="a" * 26,
        POLICY_FILE="/p.toml",
        LABELS_FILE="/labels.json",
        LINK_HOSTS="git.example.org/acme, github.com",
    )
    assert config.model_dump(exclude={"mm_token", "mm_url"}) == {
        "transcript_dir": Path("/t"),
        "sessions_json": Path("/s.json"),
        "openclaw_state_dir": Path("/o"),
        "openclaw_config_path": Path("/c.json5"),
        "throttle_ms": 750,
        "edits_per_second": 0,
        "idle_timeout_s": 61,
        "max_session_duration_s": 0,
        "stall_model_s": 61,
        "stall_tool_s": 62,
        "stall_tools": {"exec": 1800, "browser": 0},
        "stall_notify": "anna",
        "max_status_lines": 3,
        "max_active_sessions": 4,
        "max_message_chars": 16_383,
        "health_port": 0,
        "health_host": "::1",
        "health_token": SecretStr("only-for-us"),
        "events_webhook_url": SecretStr("https://hooks.example.org/in?key=1"),
        "loki_push_url": SecretStr("http://user:password@loki:3100"),
        "log_level": "debug",
        "pid_file": Path("/p.pid"),
        "state_dir": Path("/state"),
        "circuit_breaker_threshold": 6,
        "circuit_breaker_cooldown_s": 7,
        "tool_labels_file": Path("/l.json"),
        "post_type": "custom_x",
        "on_deleted_post": "repost",
        "default_channel": "a" * 26,
        "policy_file": Path("/p.toml"),
        "labels_file": Path("/labels.json"),
        "link_hosts": (
            {"scheme": "https", "host": "git.example.org", "owner": "acme"},
            {"scheme": "https", "host": "github.com", "owner": ""},
        ),
    }


def test_the_token_is_taken_from_the_first_source_of_the_documented_order():
    sources = {
        "MM_TOKEN": "from-mm-token",
        "MM_TOKEN_FILE": "/token",
        "MATTERMOST_BOT_TOKEN": "from-mattermost",
        "MM_BOT_TOKEN": "from-mm-bot",
    }
    files = {"/token": b"from-the-file\n"}
    env = {"MM_URL": "http://h", "HOME": "/h", **sources}
    for variable, expected in zip(
        sources, ("from-mm-token", "from-the-file", "from-mattermost", "from-mm-bot"), strict=True
    ):
        config = loaded(env, files)
        assert isinstance(config, Config)
        assert config.mm_token.get_secret_value() == expected
        env[variable] = ""
    assert isinstance(loaded(env, files), ConfigErrors)


def test_the_url_is_taken_from_the_first_alias_that_is_set():
    env = {"MM_TOKEN": TOKEN, "HOME": "/h", "MATTERMOST_URL": "http://second", "MM_BASE_URL": "http://third"}
    config = loaded(env)
    assert isinstance(config, Config)
    assert config.mm_url == "http://second"


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://chat.example.org/", "https://chat.example.org"),
        ("https://chat.example.org/api/v4", "https://chat.example.org"),
        ("https://chat.example.org/api/v4/", "https://chat.example.org"),
        ("https://example.org/mattermost/", "https://example.org/mattermost"),
        ("https://example.org/mattermost/api/v4/", "https://example.org/mattermost"),
        ("http://127.0.0.1:8065", "http://127.0.0.1:8065"),
        ("http://[::1]:8065/", "http://[::1]:8065"),
        ("  HTTP://Host.example \n", "http://Host.example"),
    ],
)
def test_a_base_url_keeps_its_path_and_loses_slash_and_api_prefix(given, base):
    assert config_of(MM_URL=given).mm_url == base


@pytest.mark.parametrize(
    "url",
    [
        "chat.example.org",
        "ftp://chat.example.org",
        "https://",
        "https:///path",
        "https://user:secret@chat.example.org",
        "https://user@chat.example.org",
        "https://chat.example.org/?a=b",
        "https://chat.example.org/#x",
        "https://chat.example.org:port",
        "https://chat.example.org:0",
        "https://chat.example.org:99999",
        "https://chat.exa\nmple.org",
        "https://chat example.org",
        "https://[::1",
    ],
)
def test_what_is_no_base_url_is_one_error(url):
    assert variables(errors_of(MM_URL=url)) == ["MM_URL"]


@pytest.mark.parametrize("spelling", [f"{TOKEN}\n", f"  {TOKEN}\r\n", f"\t{TOKEN}"])
def test_whitespace_around_a_token_is_stripped(spelling):
    assert config_of(MM_TOKEN=spelling).mm_token.get_secret_value() == TOKEN
    from_file = config_of({"/t": spelling.encode()}, MM_TOKEN="", MM_TOKEN_FILE="/t")
    assert from_file.mm_token.get_secret_value() == TOKEN


@pytest.mark.parametrize(
    "token",
    ["two words-of-it", "with\nbreak-inside", "with\x07bell-inside", "tökén-not-ascii", "short", "x" * 513],
)
def test_a_malformed_token_is_one_error_without_the_token(token):
    for lines in (
        errors_of(MM_TOKEN=token),
        errors_of({"/t": token.encode()}, MM_TOKEN="", MM_TOKEN_FILE="/t"),
    ):
        assert len(lines) == 1
        assert lines[0].startswith("MM_TOKEN")
        assert token not in lines[0]
        assert "\n" not in lines[0]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe\x00token-token", b"two\nlines-of-text"])
def test_a_token_file_without_a_usable_token_is_named_as_the_culprit(content):
    files = {} if content is None else {"/t": content}
    env = {"MM_TOKEN": "", "MM_TOKEN_FILE": "/t", "MATTERMOST_BOT_TOKEN": TOKEN}
    assert variables(errors_of(files, **env)) == ["MM_TOKEN_FILE"]


def test_a_token_stays_out_of_repr_and_str():
    config = config_of()
    for text in (
        repr(config),
        str(config),
        f"{config.mm_token}",
        repr(config.mm_token),
        config.model_dump_json(),
    ):
        assert TOKEN not in text


def test_all_errors_come_at_once_in_the_order_of_the_documentation_and_without_values():
    secret = "s3cr3t-value"
    every = {
        "MM_TOKEN": f"{secret} {secret}",
        "MM_URL": f"https://u:{secret}@h",
        "THROTTLE_MS": secret,
        "IDLE_TIMEOUT_S": secret,
        "MAX_SESSION_DURATION_S": secret,
        "MAX_STATUS_LINES": secret,
        "MAX_ACTIVE_SESSIONS": secret,
        "MAX_MESSAGE_CHARS": secret,
        "HEALTH_PORT": secret,
        "HEALTH_HOST": f"{secret}/{secret}",
        "HEALTH_TOKEN": f"{secret} {secret}",
        "EVENTS_WEBHOOK_URL": secret,
        "LOKI_PUSH_URL": f"ftp://{secret}/",
        "LOG_LEVEL": secret,
        "CIRCUIT_BREAKER_THRESHOLD": secret,
        "CIRCUIT_BREAKER_COOLDOWN_S": secret,
        "TOOL_LABELS_FILE": f"/{secret}",
        "POST_TYPE": secret,
        "DEFAULT_CHANNEL": secret,
    }
    errors = load(every)  # with the real disk, and no home
    assert isinstance(errors, ConfigErrors)
    expected = list(every)
    expected.insert(2, "OPENCLAW_STATE_DIR")
    expected.insert(expected.index("CIRCUIT_BREAKER_THRESHOLD"), "STATE_DIR")
    assert variables(errors.lines) == expected
    assert secret not in repr(errors)
    assert all(": " in line and "\n" not in line for line in errors.lines)


def test_an_alias_is_named_as_the_user_spelled_it():
    lines = errors_of(MM_TOKEN="", MM_URL="", MATTERMOST_BOT_TOKEN="a b", MM_BASE_URL="nonsense")
    assert variables(lines) == ["MATTERMOST_BOT_TOKEN", "MM_BASE_URL"]


def test_missing_settings_are_said_to_be_required():
    lines = errors_of(MM_TOKEN="", MM_URL="")
    assert variables(lines) == ["MM_TOKEN", "MM_URL"]
    assert all("is required" in line for line in lines)


@pytest.mark.parametrize(
    "number", ["60s", "6e1", "60.0", "1_000", "-1", "+60", "0x40", "٦٠", "6 0", "9" * 20]
)
def test_a_number_is_written_in_digits(number):
    assert variables(errors_of(IDLE_TIMEOUT_S=number)) == ["IDLE_TIMEOUT_S"]


@pytest.mark.parametrize(
    ("variable", "least", "most"),
    [
        ("THROTTLE_MS", 50, 60_000),
        ("EDITS_PER_SECOND", 0, 1000),
        ("IDLE_TIMEOUT_S", 1, 86_400),
        ("MAX_SESSION_DURATION_S", 0, 2_592_000),
        ("MAX_STATUS_LINES", 1, 200),
        ("MAX_ACTIVE_SESSIONS", 1, 10_000),
        ("MAX_MESSAGE_CHARS", 500, 16_383),
        ("HEALTH_PORT", 0, 65_535),
        ("CIRCUIT_BREAKER_THRESHOLD", 1, 1000),
        ("CIRCUIT_BREAKER_COOLDOWN_S", 1, 3600),
    ],
)
def test_a_number_has_bounds_and_its_rule_names_them(variable, least, most):
    for good in (least, most):
        assert getattr(config_of(**{variable: str(good)}), variable.lower()) == good
    for bad in (least - 1, most + 1):
        (line,) = errors_of(**{variable: str(bad)})
        assert str(least) in line
        assert str(most) in line


def test_an_empty_variable_counts_as_not_set():
    names = [
        field.upper() for field in Config.model_fields if field not in {"mm_token", "mm_url", "post_type"}
    ]
    assert config_of(**dict.fromkeys(names, "  ")) == config_of()


def test_an_empty_post_type_asks_for_plain_posts():
    assert config_of(POST_TYPE="").post_type == ""
    assert config_of().post_type == "custom_status_watcher"


@pytest.mark.parametrize("post_type", ["system_x", "custom_", "custom_" + "x" * 20, "custom_ä", "status"])
def test_a_post_type_the_server_refuses_is_an_error(post_type):
    assert variables(errors_of(POST_TYPE=post_type)) == ["POST_TYPE"]


@pytest.mark.parametrize("channel", ["town-square", "A" * 26, "a" * 25, "a" * 27, "~" + "a" * 25])
def test_a_default_channel_is_an_id(channel):
    assert variables(errors_of(DEFAULT_CHANNEL=channel)) == ["DEFAULT_CHANNEL"]


@pytest.mark.parametrize(
    "times", ["exec", "exec=", "=5", "exec=-1", "exec=1.5", "exec=86401", "exec=1;browser=2"]
)
def test_tools_patience_is_given_in_whole_seconds(times):
    assert errors_of(STALL_TOOLS=times) == (
        "STALL_TOOLS: must be tools with whole seconds from 0 to 86400, like exec=900,browser=600",
    )


@pytest.mark.parametrize(
    ("told", "kept"),
    [("off", ""), ("OFF", ""), ("on", "on"), ("anna", "anna"), ("@anna.b-c_1", "anna.b-c_1")],
)
def test_stalls_are_told_to_nobody_everybody_or_one(told, kept):
    assert config_of(STALL_NOTIFY=told).stall_notify == kept


@pytest.mark.parametrize("told", ["all", "@channel", "here", "two people", "a,b", "_", "x" * 65])
def test_stalls_are_told_to_no_whole_channel(told):
    assert errors_of(STALL_NOTIFY=told) == ("STALL_NOTIFY: must be off, on, or the name of one user",)


@pytest.mark.parametrize(
    "hosts", ["a b", "ftp://git.example.org", "user@git.example.org", "good.example, b/c d"]
)
def test_link_hosts_are_hosts(hosts):
    assert variables(errors_of(LINK_HOSTS=hosts)) == ["LINK_HOSTS"]


def test_labels_file_need_not_be_there():
    assert config_of(LABELS_FILE="/not/there").labels_file == Path("/not/there")


def test_policy_file_that_cannot_be_read_is_one_error():
    assert errors_of(POLICY_FILE="/not/there") == ("POLICY_FILE: must be a readable file of at most 1 MiB",)


def test_every_error_of_the_policy_is_a_line_of_its_own_among_the_others():
    content = b'[[rule]]\nlevl = "off"\n[[rule]]\nkind = "secret-kind"\nlevel = "off"\n'
    assert errors_of({"/p.toml": content}, POLICY_FILE="/p.toml", THROTTLE_MS="x", LINK_HOSTS="a b") == (
        "THROTTLE_MS: must be a whole number of milliseconds from 50 to 60000, digits only",
        "POLICY_FILE: rule 1: levl: is not known; did you mean level?",
        "POLICY_FILE: rule 2: kind: must be one of channel, dm, cron, hook, explicit, subagent",
        f"LINK_HOSTS: {Config.model_fields['link_hosts'].description}",
    )


@pytest.mark.parametrize(
    ("spelling", "level"),
    [
        ("Info", "info"),
        ("WARN", "warning"),
        ("warning", "warning"),
        ("Error", "error"),
        ("CRITICAL", "critical"),
    ],
)
def test_a_log_level_is_read_whatever_its_case(spelling, level):
    assert config_of(LOG_LEVEL=spelling).log_level == level


@pytest.mark.parametrize("host", ["a b", "http://h", "h/x", "[]", "h:1]"])
def test_a_health_host_is_an_address_or_a_name(host):
    assert variables(errors_of(HEALTH_HOST=host)) == ["HEALTH_HOST"]


@pytest.mark.parametrize("content", [None, b"", b"[]", b"not json", b"{"])
def test_a_labels_file_is_a_readable_json_object(content):
    files = {} if content is None else {"/l": content}
    assert variables(errors_of(files, TOOL_LABELS_FILE="/l")) == ["TOOL_LABELS_FILE"]


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"STATE_DIR": "/a", "STATE_DIRECTORY": "/b", "XDG_STATE_HOME": "/c", "HOME": "/d"}, "/a"),
        ({"STATE_DIRECTORY": "/b:/b2", "XDG_STATE_HOME": "/c", "HOME": "/d"}, "/b"),
        ({"XDG_STATE_HOME": "/c", "HOME": "/d"}, "/c/status-watcher"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/d"}, "/d/.local/state/status-watcher"),
        ({"STATE_DIR": "~/s", "HOME": "/d"}, "/d/s"),
    ],
)
def test_the_state_directory_is_found_in_the_documented_order(env, expected):
    assert load_state_dir(env) == Path(expected)
    config = loaded({"MM_TOKEN": TOKEN, "MM_URL": "http://h", "OPENCLAW_STATE_DIR": "/o"} | env)
    assert isinstance(config, Config)
    assert config.state_dir == Path(expected)


def test_the_state_directory_needs_no_other_setting():
    assert load_state_dir({"STATE_DIR": "/a", "THROTTLE_MS": "nonsense"}) == Path("/a")


def test_without_any_home_the_state_directory_has_to_be_named():
    errors = load_state_dir({})
    assert isinstance(errors, ConfigErrors)
    assert variables(errors.lines) == ["STATE_DIR"]


@pytest.mark.parametrize(
    ("env", "dirs", "expected"),
    [
        ({"OPENCLAW_STATE_DIR": "/o", "CLAWDBOT_STATE_DIR": "/c", "HOME": "/h"}, (), "/o"),
        ({"CLAWDBOT_STATE_DIR": "/c", "HOME": "/h"}, ("/h/.openclaw",), "/c"),
        ({"OPENCLAW_HOME": "/oh", "HOME": "/h"}, (), "/oh/.openclaw"),
        ({"HOME": "/h"}, ("/h/.openclaw", "/h/.clawdbot"), "/h/.openclaw"),
        ({"HOME": "/h"}, ("/h/.clawdbot",), "/h/.clawdbot"),
        ({"HOME": "/h"}, (), "/h/.openclaw"),
    ],
)
def test_openclaws_directory_is_found_in_openclaws_own_order(env, dirs, expected):
    config = loaded({"MM_TOKEN": TOKEN, "MM_URL": "http://h", "STATE_DIR": "/s"} | env, dirs=dirs)
    assert isinstance(config, Config)
    assert config.openclaw_state_dir == Path(expected)


@pytest.mark.parametrize("variable", ["TRANSCRIPT_DIR", "SESSIONS_JSON"])
def test_openclaws_directory_is_not_needed_where_sessions_are_named(variable):
    config = loaded({"MM_TOKEN": TOKEN, "MM_URL": "http://h", "STATE_DIR": "/s", variable: "/x"})
    assert isinstance(config, Config)
    assert config.openclaw_state_dir is None


def test_relative_paths_become_absolute_and_others_stay():
    env = {
        "STATE_DIR": "./state",
        "PID_FILE": "run.pid",
        "TRANSCRIPT_DIR": "/abs",
        "OPENCLAW_STATE_DIR": "~/o",
        "SESSIONS_JSON": "",
        "MM_URL": "relative-but-no-path",
    }
    assert with_absolute_paths(env, Path("/cwd")) == env | {
        "STATE_DIR": "/cwd/state",
        "PID_FILE": "/cwd/run.pid",
    }


def test_the_configuration_is_frozen_and_refuses_unknown_names():
    config = config_of()
    with pytest.raises(ValidationError):
        config.throttle_ms = 1
    with pytest.raises(ValidationError) as refused:
        Config.model_validate({"mm_token": "bad token value"})
    assert "bad token value" not in str(refused.value)


@pytest.mark.parametrize("variable", ["EVENTS_WEBHOOK_URL", "LOKI_PUSH_URL"])
@pytest.mark.parametrize(
    "url", ["example.org/in", "file:///x", "http://", "http://h:0/", "http://h/a b", "http://h/#x"]
)
def test_where_events_go_is_a_url(variable, url):
    assert variables(errors_of(**{variable: url})) == [variable]


def test_what_lets_somebody_in_counts_as_a_secret():
    config = config_of(
        HEALTH_TOKEN="only-for-us",
        EVENTS_WEBHOOK_URL="https://hooks.example.org/services/T0/B0/x",
        LOKI_PUSH_URL="http://localhost:3100/",
    )
    assert config.secrets == (TOKEN, "only-for-us", "https://hooks.example.org/services/T0/B0/x")
    for secret in config.secrets:
        assert secret not in repr(config)


def test_every_error_in_the_labels_file_is_told_with_all_others():
    content = b'{"a": 1, "b": {"x": 2}, "c": "fine"}'
    env = {"MM_TOKEN": "x", "MM_URL": "http://h", "STATE_DIR": "/s", "TOOL_LABELS_FILE": "/l.json"}
    found = load(
        env | {"OPENCLAW_STATE_DIR": "/o"}, read_file=lambda path: content if path.name == "l.json" else None
    )
    assert isinstance(found, ConfigErrors)
    assert [line.partition(":")[0] for line in found.lines] == ["MM_TOKEN", *["TOOL_LABELS_FILE"] * 2]
    assert found.lines[1] == "TOOL_LABELS_FILE: entry 1: must be a label or an object"
