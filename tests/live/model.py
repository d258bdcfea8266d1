"""An OpenAI-compatible model that follows scripts: chat completions as server-sent events, on loopback.

A `[[name]]` tag in the newest user message that has one picks the script, the number of assistant messages
since then its step.
"""

import asyncio
import itertools
import json
import re
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from live.scripts import SCRIPTS, SUMMARY, Step, ToolCall

NAME = "scripted"
UNTAGGED = Step("Nothing was asked of me.")
OVERFLOW = {
    "message": "This model's maximum context length is 200000 tokens. However, your messages resulted in "
    "201000 tokens. Please reduce the length of the messages.",
    "type": "invalid_request_error",
    "code": "context_length_exceeded",
}

_TAG = re.compile(r"\[\[([a-z-]+)\]\]")
_CHILD_REPORT = re.compile(r"child-report: [^\n\"\\]*")
# How gateways tell a parent that a child has ended (2026.7.1; 2026.9.6), and 9.6 that all have.
_CHILD_ENDED = re.compile(r"\[Internal task completion event\]|just completed successfully|has now settled")
_SUMMARIZE = re.compile(r"summar|checkpoint", re.IGNORECASE)
_HIDDEN_CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `text` is all that the model was shown, `script` what it answered from ("" for none)."""

    at_monotonic_s: float
    script: str
    step: int
    text: str
    tools: frozenset[str]


class ScriptedModel:
    """`async with ScriptedModel() as model`: serves at `model.url`; `asked` is what it was asked so far."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._port = 0
        self._calls = itertools.count(1)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": NAME, "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        tools = frozenset(str(tool["function"]["name"]) for tool in body.get("tools") or ())
        messages = body["messages"]
        script, number, step = chosen(messages, tools)
        if step.overflow and any(a.script == script and a.step == number for a in self.asked):
            number, step = number + 1, SCRIPTS[script][number + 1]
        self.asked.append(Asked(time.monotonic(), script, number, "\n".join(map(text_of, messages)), tools))
        await asyncio.sleep(step.delay_s)  # as long as a model thinks
        if step.overflow:
            return web.json_response({"error": OVERFLOW}, status=400)
        calls = [self._call(call, position, tools) for position, call in enumerate(step.calls)]
        tokens = {"prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050}
        why = "tool_calls" if calls else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": step.text or None, "tool_calls": calls or None}
            choice = {"index": 0, "finish_reason": why, "message": message}
            return web.json_response(_envelope("chat.completion") | {"choices": [choice], "usage": tokens})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await _send(response, {"role": "assistant", "content": ""})
        for word in re.findall(r"\S+\s*", step.text):
            await _send(response, {"content": word})
            await asyncio.sleep(step.word_every_s)  # the pace of its words
        for call in calls:
            await _send(response, {"tool_calls": [call]})
        await _send(response, {}, why)
        usage = _envelope("chat.completion.chunk") | {"choices": [], "usage": tokens}
        await response.write(b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n")
        return response

    def _call(self, call: ToolCall, position: int, tools: frozenset[str]) -> dict[str, Any]:
        """The call as this gateway offers it: 2026.9.6 hides most tools behind `tool_call`."""
        name, arguments = call.tool, call.arguments
        if name not in tools and "tool_call" in tools:
            name, arguments = "tool_call", {"id": call.tool, "args": call.arguments}
        return {
            "index": position,
            "id": f"call_{next(self._calls)}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }


def chosen(messages: list[dict[str, Any]], tools: frozenset[str]) -> tuple[str, int, Step]:
    """The script's name, the number of its step, and the step that comes next in this conversation."""
    if not tools and _SUMMARIZE.search("\n".join(map(text_of, messages))):
        return "", 0, SUMMARY
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if message["role"] == "assistant" and not message.get("tool_calls"):
            return "", 0, UNTAGGED  # that prompt was answered, and nothing newer has a tag
        if message["role"] != "user":
            continue
        text = text_of(message)
        if _CHILD_ENDED.search(text) and "[Subagent Task]" not in text:
            reports = dict.fromkeys(_CHILD_REPORT.findall(text))
            return "", 0, Step(f"A helper reported: {' '.join(reports) or 'nothing'}", delay_s=0.3)
        if text.lstrip().startswith(_HIDDEN_CONTEXT):
            continue
        if tags := _TAG.findall(text):
            steps = SCRIPTS[tags[-1]]
            number = sum(later["role"] == "assistant" for later in messages[position + 1 :])
            return tags[-1], number, steps[min(number, len(steps) - 1)]
    return "", 0, UNTAGGED


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return content if isinstance(content, str) else ""


def _envelope(kind: str) -> dict[str, Any]:
    return {"id": "scripted", "object": kind, "created": int(time.time()), "model": NAME}


async def _send(response: web.StreamResponse, delta: dict[str, Any], finish: str | None = None) -> None:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = _envelope("chat.completion.chunk") | {"choices": [choice]}
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
