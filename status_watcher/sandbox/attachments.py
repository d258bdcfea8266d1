"""How the server keeps and shows a post's `props.attachments`.

Seen with 9.9: every attachment gets all its fields; a list of the wrong shape becomes null instead of an
error; the `integration` of an action is kept but never shown.
"""

from typing import Any

from status_watcher.sandbox.records import new_id

_TEXT_FIELDS = (
    "fallback",
    "color",
    "pretext",
    "author_name",
    "author_link",
    "author_icon",
    "title",
    "title_link",
    "text",
    "image_url",
    "thumb_url",
    "footer",
    "footer_icon",
)


def normalised_props(props: dict[str, Any]) -> dict[str, Any]:
    """A copy of the props in the form in which they are stored."""
    kept = dict(props)
    if "attachments" in kept:
        kept["attachments"] = _normalised(kept["attachments"])
    return kept


def shown_props(props: dict[str, Any]) -> dict[str, Any]:
    """A copy of stored props as any reader, the author too, is shown them."""
    attachments = props.get("attachments")
    if not attachments:
        return props
    return props | {"attachments": [_without_integrations(attachment) for attachment in attachments]}


def _normalised(attachments: Any) -> list[dict[str, Any]] | None:
    if not isinstance(attachments, list):
        return None
    kept = []
    for given in attachments:
        if given is None:
            continue
        if not isinstance(given, dict):
            return None
        if not all(isinstance(given.get(name) or "", str) for name in _TEXT_FIELDS):
            return None
        if not all(isinstance(given.get(name) or [], list) for name in ("fields", "actions")):
            return None
        whole: dict[str, Any] = {"id": 0, "fields": None, "ts": None}
        whole |= {name: given.get(name) or "" for name in _TEXT_FIELDS}
        whole |= {name: given[name] for name in ("id", "ts") if given.get(name) is not None}
        if given.get("fields") is not None:
            fields = (field for field in given["fields"] if isinstance(field, dict))
            whole["fields"] = [{"title": "", "value": None, "short": False} | field for field in fields]
        if actions := [action for action in given.get("actions") or [] if isinstance(action, dict)]:
            whole["actions"] = [{"id": new_id()} | action for action in actions]
        kept.append(whole)
    return kept


def _without_integrations(attachment: dict[str, Any]) -> dict[str, Any]:
    if "actions" not in attachment:
        return attachment
    shown = [{k: v for k, v in action.items() if k != "integration"} for action in attachment["actions"]]
    return attachment | {"actions": shown}
