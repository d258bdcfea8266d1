"""Secrets that only the other arguments of a tool call give away."""

import pytest
from builders import Transcript, Watched, call

SECRET = "lampe" + "kobold"


def box_of(tool: str, **arguments: object) -> str:
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    watched.at(1, t.assistant(1, call("c1", tool) | {"arguments": arguments}))
    watched.until(40)
    (box,) = watched.boxes
    return box.text


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": SECRET},
        {"username": "bob" * 100, "passphrase": SECRET},
        {"user_token": SECRET, "x": 1},
        {"element": "Password field", "ref": "e12", "text": SECRET},
        {"selector": "#login input[name=password]", "value": SECRET},
        {"key": "DB_PASSWORD", "value": SECRET},
        {"label": "API key", "input": SECRET},
        {"field": "Passwort", "content": SECRET},
        {"env": {"DB_PASSWORD": SECRET}, "dbPassword": SECRET},
        {"argv": ["sshpass", "-p", SECRET, "ssh", "web1"]},
        {"command": ["mysql", "-uroot", f"-p{SECRET}", "shop"]},
        {"query": f'{{"user": "bob", "password": "{SECRET}"}}'},
        {"name": f"backup sftp://bob:{SECRET}@host/x"},
        {"path": f"/srv/api_key={SECRET}/report.json"},
    ],
)
def test_secret_is_not_shown_however_it_is_spread_over_arguments(arguments):
    assert SECRET not in box_of("mcp__vault__store", **arguments)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"element": "Search field", "text": "kobold lampe"}, "`kobold lampe`"),
        ({"name": "DB_PASSWORD", "value": SECRET}, "`DB_PASSWORD`"),
        ({"max_tokens": "4096"}, "`4096`"),
        ({"note": "the password page is done"}, "`the password page is done`"),
        ({"selector": "#password", "ref": "e12", "text": SECRET}, "`#password`"),
    ],
)
def test_what_is_no_secret_among_arguments_stays(arguments, shown):
    assert shown in box_of("mcp__vault__store", **arguments)
