"""What the scripted model says, step by step; a prompt names its script by a `[[name]]` tag.

A command that must not end by itself while a test looks sleeps longer than any test waits.
"""

from dataclasses import dataclass, field
from typing import Any

ANSWER = "All chores are done."
CHILD_A_SAYS = "child-report: A ran its commands"
CHILD_B_SAYS = "child-report: B ran its command"


@dataclass(frozen=True, slots=True)
class ToolCall:
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One answer of the model: after `delay_s` the text, word by word, then the calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    delay_s: float = 0.15
    word_every_s: float = field(default=0.01, kw_only=True)
    overflow: bool = field(default=False, kw_only=True)
    """Refused instead, as a provider does it: the prompt has become too long."""


def run(command: str) -> ToolCall:
    return ToolCall("exec", {"command": command})


def spawn(task: str, label: str) -> ToolCall:
    return ToolCall("sessions_spawn", {"task": task, "label": label})


SUMMARY = Step("## Goal\nDo the chores.\n\n## Progress\nOne command has run.", delay_s=14)
"""For a gateway that compacts a session, and asks without tools. It takes longer than an error settles."""

SCRIPTS: dict[str, tuple[Step, ...]] = {
    "chores": (
        Step("I will look around first.", (run("echo one; sleep 1; echo two"),)),
        Step("Now one that fails.", (run("echo no; exit 3"),)),
        Step(
            "Two helpers do the rest.",
            (
                spawn("[[helper-a]] count the files", "helper-a"),
                spawn("[[helper-b]] check the year", "helper-b"),
            ),
        ),
        Step("Both helpers are running."),
    ),
    "helper-a": (
        Step("Counting begins.", (run("ls; sleep 2; echo counted"),), delay_s=0.5),
        Step("", (run("sleep 1; exit 4"),)),
        Step(CHILD_A_SAYS + "."),
    ),
    # Ends well after the other: then each end is announced, and answered, by itself.
    "helper-b": (
        Step("", (run("sleep 6; date -u +%Y"),), delay_s=0.5),
        Step(CHILD_B_SAYS + "."),
    ),
    "delegate": (
        Step("One helper will do.", (spawn("[[helper-c]] just work", "helper-c"),)),
        Step("It is running."),
    ),
    "helper-c": (
        Step("", (run("sleep 1; echo delegated"),)),
        Step("child-report: C is done."),
    ),
    "short": (
        Step("Only a moment.", (run("sleep 2; echo short-work"),)),
        Step(ANSWER),
    ),
    "medium": (
        Step("A little longer.", (run("sleep 8; echo medium-work"),)),
        Step(ANSWER),
    ),
    # For a gateway that is killed in the first command and, as 2026.9.6 does, has its model go on afterwards.
    "cut": (
        Step("Starting something long.", (run("sleep 300; echo never-said"),)),
        Step("Where was I?", (run("sleep 2; echo resumed-work"),)),
        Step(ANSWER),
    ),
    # Gateways put a command into the background after 10 s: then it starts another one.
    "endless": (Step("Starting something long.", (run("sleep 300; echo never-said"),)),),
    # The gateway compacts the session and asks again.
    "overflow": (
        Step("Filling the context.", (run("seq 1 400"),)),
        Step(overflow=True),
        Step(ANSWER),
    ),
    "plain": (Step("A plain answer without any tool."),),
}
