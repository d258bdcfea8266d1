"""What the operator's file of rules (`POLICY_FILE`, TOML) says, or everything that is wrong with it.

    [[rule]]
    kind = "cron"
    level = "compact"

An error names rule, key and what is allowed, and never a value: what was meant as a channel may be a token.
"""

import difflib
import re
import tomllib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from status_watcher.core.policy import Fixed, Level, Placement, Placing, Policy, Rule, SessionKind
from status_watcher.model import AgentId, ChannelId

MOST_RULES: Final = 1_000

_ChannelId = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9]{26}$")]
_PLACINGS: Final = {placing.name.lower(): placing for placing in Placing}


@dataclass(frozen=True, slots=True)
class PolicyErrors:
    """Everything that is wrong, one line each, without the variable's name."""

    lines: tuple[str, ...]


class _Rule(BaseModel):
    """A field is named for its key, its description is the rule an error states."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    channel: _ChannelId | None = Field(
        default=None, description="must be a channel id: 26 characters of a-z and 0-9"
    )
    agent: Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] | None = (
        Field(default=None, description="must be an agent's id: lower-case letters, digits, - and _")
    )
    kind: Literal["channel", "dm", "cron", "hook", "explicit", "subagent"] | None = Field(
        default=None, description=f"must be one of {', '.join(SessionKind)}"
    )
    level: Literal["off", "compact", "normal", "detailed"] | None = Field(
        default=None, description=f"must be one of {', '.join(Level)}"
    )
    placement: Literal["conversation", "thread", "channel"] | _ChannelId | None = Field(
        default=None, description=f"must be one of {', '.join(_PLACINGS)}, or a channel id of 26 characters"
    )

    @model_validator(mode="after")
    def _sets_something(self) -> "_Rule":
        if self.level is None and self.placement is None:
            raise ValueError
        return self

    @property
    def names(self) -> tuple[str | None, ...]:
        return self.channel, self.agent, self.kind

    def rule(self) -> Rule:
        return Rule(
            ChannelId(self.channel) if self.channel is not None else None,
            AgentId(self.agent) if self.agent is not None else None,
            SessionKind(self.kind) if self.kind is not None else None,
            Level(self.level) if self.level is not None else None,
            _placement(self.placement) if self.placement is not None else None,
        )


def parse_policy(content: bytes) -> Policy | PolicyErrors:
    """The rules of a file, or all that is wrong with them; an empty file has none."""
    try:
        raw = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        return PolicyErrors(("must be UTF-8",))
    except tomllib.TOMLDecodeError as error:
        # The error's own words may quote the file.
        place = re.search(r"line \d+", str(error))
        return PolicyErrors((f"must be TOML; {place[0] if place else 'its end'} is not",))
    except RecursionError:
        return PolicyErrors(("must be TOML; it is nested too deeply",))
    errors = [_unknown(key, ("rule",)) for key in raw if key != "rule"]
    found = raw.get("rule", [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        errors.append("rule: must be tables, each under a [[rule]] of its own")
        found = []
    if len(found) > MOST_RULES:
        errors.append(f"rule: must be at most {MOST_RULES}")
        found = []
    rules: dict[tuple[str | None, ...], tuple[int, Rule]] = {}
    for number, fields in enumerate(found, start=1):
        try:
            checked = _Rule.model_validate(fields)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            errors.extend(dict.fromkeys(f"rule {number}: {_line(detail)}" for detail in details))
            continue
        if checked.names in rules:
            errors.append(f"rule {number}: names what rule {rules[checked.names][0]} names; make them one")
            continue
        rules[checked.names] = number, checked.rule()
    if errors:
        return PolicyErrors(tuple(errors))
    return Policy(tuple(rule for _, rule in rules.values()))


def _placement(text: str) -> Placement:
    return _PLACINGS.get(text) or Fixed(ChannelId(text))


def _line(detail: ErrorDetails) -> str:
    if not detail["loc"]:
        return "must set level, placement or both"
    key = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return _unknown(key, tuple(_Rule.model_fields))
    return f"{key}: {_Rule.model_fields[key].description}"


def _unknown(key: str, known: tuple[str, ...]) -> str:
    # Only what looks like the name of a key is repeated: who forgot a quote may have made a key of a secret.
    name = key if re.fullmatch(r"[A-Za-z_-]{1,20}", key) else "a key"
    near = difflib.get_close_matches(key.lower()[:40], known, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there is only {', '.join(known)}"
    return f"{name}: is not known; {hint}"
