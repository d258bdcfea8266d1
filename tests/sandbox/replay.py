"""Performs recorded Mattermost exchanges against a sandbox and says where the answers differ.

What is compared: the status; for errors the id and the set of keys; for all else the whole tree, where ids
must be equal after binding each recorded id to the live one seen in its place, and times need only be times.
Headers are compared by name and value.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from status_watcher.sandbox.server import Sandbox

DATA = Path(__file__).parents[1] / "data" / "mattermost" / "9.9"

_ID = re.compile(r"[a-z0-9]{26}")
_ABBREVIATED = re.compile(r"(.*)\.\.\.<(\d+) characters in all>", re.DOTALL)
_A_TIME_MS = 10**12
# Named by whoever set the server up, or counted by it in a cache: of these only the type is compared.
_OF_THE_INSTALLATION = frozenset(
    {
        "BuildNumber",
        "SiteName",
        "SiteURL",
        "bot_description",
        "connection_id",
        "creator_id",
        "first_name",
        "invite_id",
        "last_post_at",
        "last_root_post_at",
        "server_version",
        "total_msg_count",
        "total_msg_count_root",
    }
)
# Different in each answer, or added by aiohttp.
_HEADERS_NOT_COMPARED = frozenset({"date", "server", "content-length", "x-request-id", "x-version-id"})


def recorded(case: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads((DATA / f"{case}.json").read_text())["steps"]
    return steps


class Replay:
    """One recording's actors and the live ids of its posts. Users and channels have the recorded ids."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.session = session
        self.tokens = {"bad": "tokenthatnobodyhas00000000"}
        self.live_ids: dict[str, str] = {}
        self._etags: dict[str, str] = {}
        self._versions: dict[str, tuple[int, int]] = {}

    def actor(
        self, name: str, user_id: str, *, username: str | None = None, roles: str = "system_user"
    ) -> str:
        is_bot = name.startswith("bot")
        self.store.add_user(username or f"{name}-{user_id[:6]}", is_bot=is_bot, id=user_id, roles=roles)
        self.tokens[name] = self.store.issue_token(user_id)
        return user_id

    def post(self, recorded_id: str, user_id: str, channel_id: str, message: str = "v0", **more: Any) -> str:
        """A post that the recording takes as given; answers its live id."""
        post = self.store.create_post(user_id, channel_id, message, **more)
        self.live_ids[recorded_id] = post.id
        return post.id

    async def run(
        self,
        case: str,
        *,
        before: Mapping[int, Callable[[], object]] | None = None,
        skip: Mapping[int, str] | None = None,
        ignore: Mapping[str, str] | None = None,
    ) -> None:
        """Replays the case and fails on any difference.

        `before` does what the recording had done out of sight before the step of that number. `skip` (steps)
        and `ignore` (keys of answers) are the exceptions, each with its reason.
        """
        for number, step in enumerate(recorded(case)):
            if before and number in before:
                before[number]()
            if not (skip and number in skip):
                found = await self.differences(step, ignore or {})
                assert found == [], f"{case} step {number}, {step['note']}: {found}"

    async def differences(self, step: dict[str, Any], ignore: Mapping[str, str]) -> list[str]:
        """Performs one step; answers what is not as recorded."""
        given, expected = step["request"], step["response"]
        async with self.session.request(
            given["method"],
            self.sandbox.url + self._localised(given["path"]),
            headers=self._headers(step["as"], given["headers"]),
            data=self._body(given["body"]),
        ) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            body = json.loads(raw) if raw and is_json else (raw.decode() or None)
            headers = response.headers
        if response.status != expected["status"]:
            return [f"status {response.status} instead of {expected['status']}: {raw[:300]!r}"]
        found = list(self._header_differences(expected["headers"], headers))
        self._etags |= {
            value: headers["Etag"] for name, value in expected["headers"] if name == "Etag" and not found
        }
        if response.status >= 400 and isinstance(expected["body"], dict):
            wanted = expected["body"]
            if body["id"] != wanted["id"]:
                found.append(f"error {body['id']} instead of {wanted['id']}")
            if body.keys() != wanted.keys():
                found.append(f"keys {body.keys() ^ wanted.keys()}")
            return found
        wanted, body = (_in_stable_order(given["path"], tree) for tree in (expected["body"], body))
        return found + list(self.tree_differences(wanted, body, ignore))

    def tree_differences(
        self, wanted: Any, got: Any, ignore: Mapping[str, str] | None = None, at: str = ""
    ) -> Iterator[str]:
        key = at.rpartition(".")[2]
        if ignore and key in ignore:
            return
        if type(wanted) is not type(got):
            yield f"{at}: {got!r} instead of {wanted!r}"
        elif isinstance(wanted, dict):
            keys = {self.live_ids.get(name, name): name for name in wanted}
            if keys.keys() != got.keys():
                yield f"{at}: keys {keys.keys() ^ got.keys()}"
                return
            for live, name in keys.items():
                yield from self.tree_differences(wanted[name], got[live], ignore, f"{at}.{name}")
            yield from self._version_differences(wanted, got, at)
        elif isinstance(wanted, list):
            if len(wanted) != len(got):
                yield f"{at}: {len(got)} items instead of {len(wanted)}"
                return
            for number, (one, other) in enumerate(zip(wanted, got, strict=True)):
                yield from self.tree_differences(one, other, ignore, f"{at}.{number}")
        elif key in _OF_THE_INSTALLATION:
            return
        elif isinstance(wanted, int) and wanted > _A_TIME_MS:
            if got <= _A_TIME_MS:
                yield f"{at}: {got} is no time"
        elif isinstance(wanted, str):
            yield from self._text_differences(wanted, got, at)
        elif wanted != got:
            yield f"{at}: {got!r} instead of {wanted!r}"

    def _text_differences(self, wanted: str, got: str, at: str) -> Iterator[str]:
        if _ID.fullmatch(wanted) and wanted not in self.live_ids and _ID.fullmatch(got):
            self.live_ids[wanted] = got
        elif wanted.startswith(("{", "[")):
            # JSON within JSON: posts in frames of the WebSocket
            yield from self.tree_differences(json.loads(wanted), json.loads(got), at=at)
        elif match := _ABBREVIATED.fullmatch(wanted):
            if not got.startswith(match[1]) or len(got) != int(match[2]):
                yield f"{at}: {len(got)} characters instead of {match[2]}"
        elif _timeless(got) != _timeless(self._localised(wanted)):
            yield f"{at}: {got!r} instead of {wanted!r}"

    def _version_differences(self, wanted: dict[str, Any], got: dict[str, Any], at: str) -> Iterator[str]:
        """`update_at` and `edit_at` of a post move where they moved in the recording."""
        if "edit_at" not in wanted or wanted["delete_at"] or wanted["original_id"]:
            return
        for name in ("update_at", "edit_at"):
            now = (wanted[name], got[name])
            before = self._versions.get(f"{got['id']} {name}", now)
            if (now[0] == before[0]) != (now[1] == before[1]):
                yield f"{at}.{name} went from {before[1]} to {now[1]}, recorded {before[0]} to {now[0]}"
            self._versions[f"{got['id']} {name}"] = now

    def _header_differences(self, wanted: list[list[str]], got: Mapping[str, str]) -> Iterator[str]:
        expected = Counter(
            (name.lower(), _timeless(self._localised(value)))
            for name, value in wanted
            if name.lower() not in _HEADERS_NOT_COMPARED
        )
        present = Counter(
            (name.lower(), _timeless(value))
            for name, value in got.items()
            if name.lower() not in _HEADERS_NOT_COMPARED
        )
        for name, value in expected - present:
            yield f"header {name}: {value} is missing"
        for name, value in present - expected:
            yield f"header {name}: {value} is not in the recording"

    def _headers(self, actor: str, given: dict[str, str]) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"} | given
        if "If-None-Match" in given:
            headers["If-None-Match"] = self._etags[given["If-None-Match"]]
        if "Authorization" in given:
            token = self.tokens.get(actor, "")
            value = given["Authorization"].replace("<token>", token)
            headers["Authorization"] = value.replace("<bot token>", self.tokens.get("bot", ""))
        return headers

    def _body(self, given: Any) -> io.BytesIO | None:
        if given is None:
            return None
        if isinstance(given, str):
            # The recording shows what was not UTF-8 as U+FFFD.
            return io.BytesIO(self._localised(given).encode().replace("\ufffd".encode(), b"\xff"))
        return io.BytesIO(self._localised(json.dumps(_whole(given), ensure_ascii=False)).encode())

    def _localised(self, text: str) -> str:
        """The text with live ids for recorded ones, and the bot's token where one belongs."""
        text = _ID.sub(lambda match: self.live_ids.get(match[0], match[0]), text)
        return text.replace("<bot%20token>", "<bot token>").replace("<bot token>", self.tokens.get("bot", ""))


def _timeless(text: str) -> str:
    return re.sub(r"\d{13}", "<ms>", text)


def _whole(given: Any) -> Any:
    """Request bodies with their abbreviated texts written out."""
    if isinstance(given, dict):
        return {name: _whole(value) for name, value in given.items()}
    if isinstance(given, list):
        return [_whole(value) for value in given]
    if not isinstance(given, str) or not (match := _ABBREVIATED.fullmatch(given)):
        return given
    length = int(match[2])
    if given.startswith("#"):
        return " ".join(["#hhhhh", *(f"#tag{number:04d}" for number in range(1000))])[:length]
    return given[0] * length


def _in_stable_order(path: str, tree: Any) -> Any:
    """Lists in which the server leaves the order of equals open, in an order of their own."""
    if path.endswith("/edit_history") and isinstance(tree, list):
        return sorted(tree, key=lambda version: version["update_at"])
    if "since=" in path:
        posts = tree["posts"]
        by_time = sorted(tree["order"], key=lambda post_id: posts[post_id]["update_at"])
        return tree | {"order": by_time}
    return tree
