"""The daemon: wires the parts, runs them until a signal, and takes them down in order.

The only module that knows everyone.
"""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import structlog

from status_watcher import __version__, stop_request
from status_watcher.config import Config
from status_watcher.core.board import Board, BoardSettings
from status_watcher.core.health import Health, Sessions, Watch, judge
from status_watcher.core.labels import LabelErrors, Labels, load_labels
from status_watcher.core.openclaw_config import OpenclawConfig
from status_watcher.core.patience import COMMANDS, Patience
from status_watcher.core.pen import Pen
from status_watcher.core.policy import NO_RULES, Policy
from status_watcher.core.redact import Redactor
from status_watcher.core.render import Limits
from status_watcher.core.transcript import Skipped
from status_watcher.core.tree import Rules
from status_watcher.edge import health, lock, logs, pidfile
from status_watcher.edge.breaker import Breaker
from status_watcher.edge.bundled import read_tool_labels
from status_watcher.edge.database_approvals import state_dir_of, watch_approvals
from status_watcher.edge.gateway_notice import watch_gateway
from status_watcher.edge.installation import Installation
from status_watcher.edge.labels_ledger import watch_labels
from status_watcher.edge.ledger import Ledger, NewerState, StateUnusable, open_ledger
from status_watcher.edge.locate import Layout
from status_watcher.edge.mattermost import MattermostClient
from status_watcher.edge.openclaw_file import read_sessions_store
from status_watcher.edge.openclaw_watch import watch_openclaw_config
from status_watcher.edge.store_choice import forced_by
from status_watcher.exit_codes import ExitCode
from status_watcher.listeners import Listeners
from status_watcher.policy_file import PolicyErrors, parse_policy
from status_watcher.proxies import environment_proxy
from status_watcher.publisher import Publisher, PublisherSettings
from status_watcher.publisher.health import PublisherHealth
from status_watcher.pulse import Pulse
from status_watcher.relay import BoardClock, Relay, Shelf
from status_watcher.stall_notices import StallNotices

LAST_READ_S = 1.0
FLUSH_S = 6.0
LOCK_CHECK_S = 2.0
PROBLEM_CHECK_S = 1.0
SKIP_REASONS: Final = get_args(get_type_hints(Skipped)["reason"])

log = structlog.get_logger()


async def run(config: Config, *, log_file: Path | None) -> int:
    """Run until SIGTERM or SIGINT and return the exit code; a second signal ends the process at once."""
    token = config.mm_token.get_secret_value()
    written = logs.configure(config.log_level, config.secrets, log_file)
    try:
        match lock.acquire(config.state_dir):
            case lock.AlreadyRunning(pid):
                return _refuse(ExitCode.NOT_IN_THAT_STATE, "already running", pid=pid)
            case lock.Unusable(reason):
                return _refuse(ExitCode.BAD_CONFIG, f"STATE_DIR: {reason}")
            case lock.Lock() as held:
                try:
                    return await _run_locked(config, token, held, written)
                finally:
                    held.release()
    finally:
        written.close()


async def _run_locked(config: Config, token: str, held: lock.Lock, written: logs.Logs) -> int:
    labels = _labels(config.tool_labels_file)
    if isinstance(labels, LabelErrors):
        return _refuse(ExitCode.BAD_CONFIG, f"TOOL_LABELS_FILE: {'; '.join(labels.errors)}")
    policy = _policy(config.policy_file)
    if isinstance(policy, PolicyErrors):
        return _refuse(ExitCode.BAD_CONFIG, f"POLICY_FILE: {'; '.join(policy.lines)}")
    ledger = await open_ledger(config.state_dir)
    match ledger:
        case NewerState(path, version):
            reason = (
                f"STATE_DIR: {path}: written by a newer version (schema {version}); this one cannot read it"
            )
            return _refuse(ExitCode.BAD_CONFIG, reason)
        case StateUnusable(path, reason):
            return _refuse(ExitCode.BAD_CONFIG, f"STATE_DIR: {path}: {reason} (as uid {os.geteuid()})")
        case Ledger():
            pass
    async with AsyncExitStack() as stack:
        stack.push_async_callback(ledger.close)
        client = await stack.enter_async_context(
            MattermostClient(
                config.mm_url,
                token,
                version=__version__,
                post_type=config.post_type,
                proxy=environment_proxy(config.mm_url),
            )
        )
        breaker = Breaker(config.circuit_breaker_threshold, config.circuit_breaker_cooldown_s)
        stack.callback(breaker.close)
        daemon = Daemon(config, labels, policy, client, breaker, ledger, written)
        port = 0
        if config.health_port:
            routes = daemon.listeners.routes
            match await health.serve(config.health_host, config.health_port, daemon.health, routes):
                case health.CannotListen(reason):
                    return _refuse(ExitCode.FAILED, reason)
                case health.HealthServer() as server:
                    stack.push_async_callback(server.close)
                    port = server.port
        warning = pidfile.write(config.pid_file, os.getpid())
        if warning is not None:
            log.warning("pid_file", reason=warning)
        stack.callback(pidfile.remove, config.pid_file, os.getpid())
        return await daemon.run(held, port)


class Daemon:
    """The parts of a running daemon, and their life."""

    def __init__(
        self,
        config: Config,
        labels: Labels,
        policy: Policy,
        client: MattermostClient,
        breaker: Breaker,
        ledger: Ledger,
        written: logs.Logs,
    ) -> None:
        self._config = config
        self._logs = written
        self._ledger = ledger
        self._pulse = Pulse()
        self._started_s = time.monotonic()
        self._clock = BoardClock()
        rules = Rules(
            idle_timeout_ms=config.idle_timeout_s * 1000,
            max_duration_ms=config.max_session_duration_s * 1000,
            run_started_ms=self._clock.now_ms(),
            patience=Patience(
                config.stall_model_s * 1000,
                config.stall_tool_s * 1000,
                {**COMMANDS, **{tool: limit_s * 1000 for tool, limit_s in config.stall_tools.items()}},
            ),
        )
        limits = Limits(config.max_status_lines, config.max_message_chars)
        settings = BoardSettings(
            rules,
            limits,
            config.default_channel,
            config.max_active_sessions,
            policy,
            config.link_hosts,
        )
        self._board = Board(settings, labels, Pen(Redactor.for_secrets(*config.secrets)))
        publishing = PublisherSettings(
            throttle_s=config.throttle_ms / 1000,
            edits_per_s=config.edits_per_second,
            repost_deleted=config.on_deleted_post == "repost",
        )
        self._shelf = Shelf(self._board)
        self._notices = StallNotices(self._shelf, config.stall_notify)
        self._publisher = Publisher(self._notices, client, breaker, ledger, publishing)
        self._notices.deliver_to(self._publisher)
        self._board.keep_while(self._publisher.owes)
        self._relay = Relay(self._board, self._notices, self._clock)
        self._publisher.tell_hidden(self._relay.hear_of_hidden)
        self.listeners = Listeners(
            config, self._board, self._clock.now_ms, self._publisher, client, environment_proxy
        )
        forced = forced_by(config.transcript_dir, config.sessions_json)
        store = partial(
            read_sessions_store, config.openclaw_config_path, config.openclaw_state_dir, os.environ
        )
        self._source = Installation(
            _layout(config), fresh_s=_fresh_s(config), forced=forced, read_store=store
        )
        self._stopping = asyncio.Event()
        self._code = ExitCode.OK
        self._lock_lost = False

    async def run(self, held: lock.Lock, port: int) -> int:
        """Follow, publish, and stop in order: last read, mark the open boxes, deliver, take down."""
        self._listen_to_signals()
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        open_boxes = self._publisher.open_boxes()
        known_boxes = self._notices.restore((*open_boxes, *self._publisher.ended_boxes()))
        wanted = self._board.restore(known_boxes, self._clock.now_ms())
        self.listeners.restore(known_boxes)
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(self._publisher.run(), name="publisher")
            following = tasks.create_task(self._source.run(wanted, self._relay.take), name="source")
            watching = (
                tasks.create_task(self._guard_lock(held), name="lock-guard"),
                tasks.create_task(self._tell_problems(), name="problems"),
                tasks.create_task(self._pulse.beat(), name="pulse"),
                tasks.create_task(self._hear_gateway(), name="gateway"),
                tasks.create_task(self._hear_openclaw(), name="openclaw-config"),
                tasks.create_task(self._hear_labels(), name="labels"),
                tasks.create_task(self.listeners.run(), name="listeners"),
                tasks.create_task(self._hear_approvals(), name="approvals"),
            )
            self._relay.advance()
            unusable = held.mark_ready(self._config.health_host, port)
            if unusable is not None:
                log.warning("lock_record", reason=unusable.reason)
            log.info("started", version=__version__, pid=os.getpid(), open_boxes=len(open_boxes))
            await self._stopping.wait()
            log.info("stopping")
            # Without the lock, another daemon may be at the same posts: what they say is its business now.
            undelivered = 0 if self._lock_lost else await self._finish()
            for task in (following, *watching, publishing):
                task.cancel()
        log.info("stopped", undelivered=undelivered)
        return self._code

    def health(self) -> Health:
        """What `/health` says now."""
        publishing, watching, counts = self._publisher.snapshot(), self._source.health(), self._board.counts()
        of_board = self._board.problems(self._clock.now_ms())
        problems = (*watching.problems, *of_board, *publishing.problems)
        return Health(
            status=judge(
                watch_alive=watching.alive, token_refused=publishing.token_refused, problems=problems
            ),
            version=__version__,
            pid=os.getpid(),
            uptime_s=time.monotonic() - self._started_s,
            sessions=Sessions(counts.active, counts.tracked, counts.waiting),
            circuit=publishing.circuit,
            watch=Watch(watching.mode, watching.alive),
            mattermost_last_ok_s=publishing.last_ok_s,
            problems=problems,
            stores={str(agent): store for agent, store in watching.stores.items()},
            counters=self._counters(publishing),
        )

    def _counters(self, publishing: PublisherHealth) -> dict[str, int]:
        counters = dict(publishing.counters)
        counters["pending_posts"] = publishing.pending
        counters["oldest_unsent_s"] = round(publishing.oldest_pending_s)
        counters["pause_left_s"] = ceil(publishing.pause_s)
        counters["state_save_errors"] = self._ledger.save_errors
        read = self._source.counters()
        for name, value in asdict(read.files).items():
            if isinstance(value, int):
                counters[name] = value
            else:
                counters |= {f"{name}_{key.name.lower()}": count for key, count in value.items()}
        counters |= {f"database_{name}": value for name, value in asdict(read.database).items()}
        skipped = dict.fromkeys(SKIP_REASONS, 0) | dict(self._board.skipped_lines())
        counters |= {f"skipped_{reason}": count for reason, count in skipped.items()}
        counters["news_not_understood"] = self._relay.broken_news
        counters["board_not_advanced"] = self._relay.broken_turns
        counters["sessions_not_concluded"] = self._board.broken_looks
        counters["boxes_not_rendered"] = self._shelf.broken_boxes
        counters["loop_lag_ms"] = self._pulse.lag_ms
        counters["worst_loop_lag_ms"] = self._pulse.worst_lag_ms
        counters |= self.listeners.counters()
        counters["log_lines_dropped"] = self._logs.dropped
        return counters

    async def _finish(self) -> int:
        """The last read, the marks and their delivery; returns how many boxes remain undelivered."""
        await self._last_read()
        self._relay.stop()
        telling = asyncio.create_task(self.listeners.finish(), name="last-events")
        undelivered = await self._publisher.flush(FLUSH_S)
        await telling
        return undelivered

    async def _last_read(self) -> None:
        try:
            async with asyncio.timeout(LAST_READ_S):
                await self._source.read_now()
        except TimeoutError:
            log.warning("last_read_cut_short")

    async def _guard_lock(self, held: lock.Lock) -> None:
        """End when the lock file is no longer the one we locked: another daemon could start beside us.

        Not with success: if nobody has started yet, a supervisor is to start us again.
        """
        while held.still_ours():  # noqa: ASYNC110 - a deleted file tells nobody
            await asyncio.sleep(LOCK_CHECK_S)
        log.error("lock_lost", reason="the lock file was deleted or replaced")
        self._lock_lost, self._code = True, ExitCode.FAILED
        self._stopping.set()

    async def _hear_gateway(self) -> None:
        config = self._config
        watched = [p for p in (config.transcript_dir, config.sessions_json) if p is not None]
        if not watched and config.openclaw_state_dir is not None:
            watched = [config.openclaw_state_dir]
        await watch_gateway(config.state_dir, watched, lock.pid_namespace(), self._relay.hear_of_gateway)

    async def _hear_approvals(self) -> None:
        config = self._config
        transcripts = config.transcript_dir or (config.sessions_json.parent if config.sessions_json else None)
        state_dir = config.openclaw_state_dir if transcripts is None else state_dir_of(transcripts)
        if state_dir is not None:
            await watch_approvals(state_dir, self._relay.hear_of_approvals)

    async def _hear_openclaw(self) -> None:
        path, state_dir = self._config.openclaw_config_path, self._config.openclaw_state_dir
        if path is not None and state_dir is not None:
            await watch_openclaw_config(path, state_dir, os.environ, self._take_openclaw)

    def _take_openclaw(self, found: OpenclawConfig) -> None:
        self._relay.name_agents(found.agent_names)
        self._source.move(found.sessions_store)

    async def _hear_labels(self) -> None:
        if self._config.labels_file is not None:
            await watch_labels(self._config.labels_file, self._relay.name_sessions)

    async def _tell_problems(self) -> None:
        """Log what stands in the way of following when it appears, and when it has gone."""
        told: dict[str, str] = {}
        while True:
            # A number in front says how many: that it changed is no news.
            found = (*self._source.health().problems, *self._board.unread_problems(self._clock.now_ms()))
            problems = {line.lstrip("0123456789"): line for line in found}
            for kind in sorted(problems.keys() - told):
                log.warning("following_problem", problem=problems[kind])
            for kind in sorted(told.keys() - problems):
                log.info("following_problem_over", problem=told[kind])
            told = problems
            await asyncio.sleep(PROBLEM_CHECK_S)

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback that raises is a bug that no task's end would show: stop, and not with success.

        The callback's arguments are not logged, which asyncio's message shows: they may quote an agent.
        """
        in_callback = "handle" in context
        what = "a callback raised" if in_callback else context.get("message", "")
        log.error("loop_error", what=what, exc_info=context.get("exception"))
        if in_callback:
            self._code = ExitCode.FAILED
            self._stopping.set()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        if stop_request.is_asked():
            self._stopping.set()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            os._exit(ExitCode.OK)
        self._stopping.set()


def _labels(override: Path | None) -> Labels | LabelErrors:
    return load_labels(read_tool_labels(), override.read_bytes() if override is not None else None)


def _policy(path: Path | None) -> Policy | PolicyErrors:
    return parse_policy(path.read_bytes()) if path is not None else NO_RULES


def _layout(config: Config) -> Layout:
    return Layout(config.openclaw_state_dir or Path("/"), config.transcript_dir, config.sessions_json)


def _fresh_s(config: Config) -> float:
    """How old a transcript may be that is read at start: older turns would be timed out at once."""
    if config.max_session_duration_s == 0:
        return 0.0
    return float(config.max_session_duration_s + config.idle_timeout_s)


def _refuse(code: ExitCode, reason: str, **fields: object) -> ExitCode:
    log.error("not_started", reason=reason, **fields)
    return code
