"""How a tool call reads in a box: its label and the one argument that tells what it does.

`tool_labels.json` says so for each tool by the name OpenClaw gives it (those of 2026.2 to 2026.9):

    "exec":    {"label": "exec", "argument": ["command"]}
    "message": {"label": "message", "verb": "action", "argument": ["to", "target"]}
    "my_tool": "my label"

`label` stands before the colon (the tool's own name if left out). `argument` lists keys of the call;
the first that holds text is shown, and a dot reaches into objects and lists ("job.name",
"plan.0.step"). `verb` is a key whose value goes before it. An operator's file is merged over
the built-in one, field by field.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec
import orjson

from status_watcher.core.redact_values import names_a_secret

LABEL_MAX_CHARS: Final = 60

WRAPPER: Final = "tool_call"
"""The tool that calls one other tool (2026.9.6: `{"id": "exec", "args": {…}}`)."""


class ToolText(msgspec.Struct, frozen=True, gc=False):
    """A tool call in words of the agent: neither redacted nor clipped nor neutralised."""

    label: str
    argument: str


@dataclass(frozen=True, slots=True)
class _Rule:
    label: str | None = None
    verb: str | None = None
    argument: tuple[str, ...] | None = None


_NO_RULE = _Rule()


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of tools by their lower-cased names."""

    rules: Mapping[str, _Rule]


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Everything wrong with a file of labels, one sentence each; values are not repeated."""

    errors: tuple[str, ...]


def load_labels(builtin_json: bytes, override_json: bytes | None = None) -> Labels | LabelErrors:
    """The built-in labels with the operator's merged over them, or all that is wrong with either."""
    errors: list[str] = []
    rules = _rules(builtin_json, "built-in labels", errors)
    if override_json is not None:
        for name, rule in _rules(override_json, "labels file", errors).items():
            rules[name] = _merged(rules.get(name, _Rule()), rule)
    return LabelErrors(tuple(errors)) if errors else Labels(MappingProxyType(rules))


def describe(tool: str, arguments: Mapping[str, object], labels: Labels) -> ToolText:
    """What a line says of a call of `tool`; any name and any arguments have an answer."""
    if tool == WRAPPER:
        tool, arguments = unwrapped(arguments)
    rule = labels.rules.get(tool.lower(), _NO_RULE)
    argument = _argument(rule, arguments)
    verb = _text(arguments.get(rule.verb or "action")) if rule.verb or rule.argument is None else ""
    told = f"{verb} {argument}" if verb and argument else verb or argument
    return ToolText(rule.label or _readable(tool), told)


def unwrapped(arguments: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """The call that is meant by a call of `tool_call`, as far as its arguments say."""
    tool, inner = arguments.get("id"), arguments.get("args", {})
    if not (isinstance(tool, str) and tool and isinstance(inner, Mapping)):
        return WRAPPER, arguments
    return tool.rpartition(":")[2] or tool, inner  # "openclaw:core:message"


def _argument(rule: _Rule, arguments: Mapping[str, object]) -> str:
    keys = _WELL_KNOWN if rule.argument is None else rule.argument
    if keys:
        key = keys[0]
        value = arguments.get(key)
        if type(value) is str and key not in _RETOLD and (text := value.strip()):
            return text
    for key in keys:
        if rule.argument is None and _is_secret(key, arguments):
            continue
        value = arguments[key] if key in arguments else _reach(arguments, key) if "." in key else None
        if value is not None and (text := value.strip() if isinstance(value, str) else _text(value)):
            return _telling(key, text)
    if rule.argument is not None:
        return ""
    others = (
        value
        for key, value in arguments.items()
        if key != "action" and isinstance(value, str) and not _is_secret(key, arguments)
    )
    return next((text for value in others if (text := value.strip()) and len(text) <= _SHORT_CHARS), "")


def _is_secret(key: str, arguments: Mapping[str, object]) -> bool:
    """Whether `key` holds a secret that only its name or another argument's words give away.

    A browser's `{"element": "Password field", "text": …}`, a store's `{"name": "DB_PASSWORD", "value": …}`.
    """
    if key in _FILLED:
        said = (value for name, value in arguments.items() if name != key and isinstance(value, str))
        return any(len(text) <= _SHORT_CHARS and names_a_secret(text) for text in said)
    return names_a_secret(key)


_FILLED: Final = frozenset({"text", "value", "content", "data", "input", "fill"})
_WELL_KNOWN: Final = (
    "command",
    "cmd",
    "path",
    "file_path",
    "filePath",
    "file",
    "query",
    "pattern",
    "url",
    "name",
    "title",
    "id",
    "to",
    "target",
    "message",
    "text",
    "prompt",
    "task",
)
_SHORT_CHARS: Final = 200
_PROSE: Final = frozenset({"task", "message", "text", "prompt", "explanation", "question"})
_RETOLD: Final = _PROSE | {"input", "patch"}
_PATCHED_FILE: Final = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)


def _telling(key: str, text: str) -> str:
    """Prose is told by its first line, a patch by the files it touches."""
    if key in _PROSE:
        return next((line.strip() for line in text.splitlines() if line.strip()), "")
    if key in {"input", "patch"} and (files := _PATCHED_FILE.findall(text)):
        return files[0].strip() if len(files) == 1 else f"{files[0].strip()} and {len(files) - 1} more"
    return text


def _reach(arguments: Mapping[str, object], path: str) -> object:
    """The value at a dotted path; None where the path leads nowhere."""
    value: object = arguments
    for step in path.split("."):
        match value:
            case Mapping():
                value = value.get(step)
            case list() if len(step) < 4 and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            case _:
                return None
    return value


def _text(value: object) -> str:
    """A string, a number, or a list of those (an argv) as text; anything else tells nothing."""
    match value:
        case bool():
            return ""
        case str():
            return value.strip()
        case int() | float():
            return str(value)
        case list():
            return " ".join(item for item in value if isinstance(item, str)).strip()
        case _:
            return ""


def _readable(tool: str) -> str:
    """A tool we know nothing of under its own name; those of MCP servers come as `mcp__server__tool`."""
    name = " ".join(tool.split()).removeprefix("mcp__").replace("__", ".").strip(".")
    return name or "tool"


def _merged(below: _Rule, above: _Rule) -> _Rule:
    return _Rule(
        label=below.label if above.label is None else above.label,
        verb=below.verb if above.verb is None else above.verb,
        argument=below.argument if above.argument is None else above.argument,
    )


def _rules(data: bytes, source: str, errors: list[str]) -> dict[str, _Rule]:
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError:
        errors.append(f"{source}: not JSON")
        return {}
    if not isinstance(raw, dict):
        errors.append(f"{source}: must be an object of tool names")
        return {}
    rules: dict[str, _Rule] = {}
    for position, (name, value) in enumerate(raw.items(), start=1):
        faults = list(_faults(value))
        errors.extend(f"{source}: entry {position}: {fault}" for fault in faults)
        if not faults:
            rules[name.lower()] = _rule({"label": value} if isinstance(value, str) else value)
    return rules


def _rule(fields: Mapping[str, Any]) -> _Rule:
    argument = fields.get("argument")
    return _Rule(fields.get("label"), fields.get("verb"), None if argument is None else tuple(argument))


def _faults(value: Any) -> Iterator[str]:
    fields = {"label": value} if isinstance(value, str) else value
    if not isinstance(fields, dict):
        yield "must be a label or an object"
        return
    if fields.keys() - {"label", "verb", "argument"}:
        yield "may hold label, verb and argument only"
    label = fields.get("label", "-")
    if not isinstance(label, str) or not label.strip() or len(label) > LABEL_MAX_CHARS:
        yield f"label must be text of 1 to {LABEL_MAX_CHARS} characters"
    if not isinstance(fields.get("verb", ""), str):
        yield "verb must be a key"
    argument = fields.get("argument", [])
    if not isinstance(argument, list) or not all(isinstance(key, str) and key for key in argument):
        yield "argument must be a list of keys"
