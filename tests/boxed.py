"""Boxes of the real board with a given text at each place that a box takes words from."""

from builders import KEY, Transcript, Watched, call, child_entry, child_key, lines, said, spawn

PLACES = (
    *("said", "last word", "command", "path", "patch", "argv", "unknown tool", "tool name", "wrapped call"),
    *("message", "result", "signal", "model error", "prompt error", "spawn label", "sub-agent", "prompt"),
)


def box_of(place: str, text: str) -> str:
    """The box of a turn with `text` at one place."""
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0, text if place == "prompt" else "Please do it"))
    match place:
        case "said":
            watched.at(1, t.assistant(1, said(text), call()))
        case "last word":
            watched.at(1, t.assistant(1, call()), t.ok(2, "c1"), t.final(3, text))
        case "command":
            watched.at(1, t.assistant(1, call(command=text)))
        case "path":
            watched.at(1, t.assistant(1, call("c1", "read", path=text)))
        case "patch":
            watched.at(1, t.assistant(1, call("c1", "apply_patch", input=f"*** Update File: {text}\n+x")))
        case "argv":
            watched.at(1, t.assistant(1, call("c1", "process", command=text.split(" "))))
        case "unknown tool":
            watched.at(1, t.assistant(1, call("c1", "whatever", note=text)))
        case "tool name":
            watched.at(1, t.assistant(1, call("c1", text or "x", command="ls")))
        case "wrapped call":
            watched.at(1, t.assistant(1, call("c1", "tool_call", id="exec", args={"command": text})))
        case "message":
            watched.at(1, t.assistant(1, call("c1", "message", action="send", to=text, message=text)))
        case "result":
            watched.at(1, t.assistant(1, call()), t.result(2, "c1", error=True, text=text, status="failed"))
        case "signal":
            watched.at(1, t.assistant(1, call()), t.result(2, "c1", exitSignal=text, status="failed"))
        case "model error":
            watched.at(1, t.assistant(1, call()), t.ok(2, "c1"), t.failed(3, text))
        case "prompt error":
            watched.at(1, t.assistant(1, call()), t.ok(2, "c1"), t.prompt_error(3, text))
        case "spawn label":
            watched.at(1, t.assistant(1, spawn("c1", text)))
            watched.at(2, t.spawned(2, "c1", child_key("one")))
        case "sub-agent":
            child = Transcript("child", prefix="k")
            watched.entries |= {child_key("one"): child_entry("child", KEY, label=text)}
            watched.at(1, t.assistant(1, spawn("c1", "one")), watched.look())
            watched.at(2, t.spawned(2, "c1", child_key("one")))
            news = (child.header(3), child.user(3, text), child.assistant(4, said(text), call(command=text)))
            watched.at(4, lines(*news, session_id="child"))
        case _:
            assert place == "prompt", place
            watched.at(1, t.assistant(1, call()))
    watched.until(40)
    (box,) = watched.boxes
    return box.text


def flat_box(steps: list[tuple[str, str]], error: str = "") -> str:
    """The box of a turn of many steps without a sub-agent: ("say" | "run" | "fail" | "use", text) each."""
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0))
    for n, (kind, text) in enumerate(steps, start=1):
        match kind:
            case "say":
                watched.at(n, t.assistant(n, said(text), call(f"c{n}", command="true")), t.ok(n, f"c{n}"))
            case "run":
                watched.at(n, t.assistant(n, call(f"c{n}", command=text)), t.ok(n, f"c{n}", 2_000))
            case "fail":
                watched.at(n, t.assistant(n, call(f"c{n}", command=text)), t.result(n, f"c{n}", error=True))
            case _:
                watched.at(n, t.assistant(n, call(f"c{n}", text or "x", command=text)))
    if error:
        watched.at(len(steps) + 1, t.failed(len(steps) + 1, error))
    watched.until(len(steps) + 30)
    (box,) = watched.boxes
    return box.text
