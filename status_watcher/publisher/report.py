"""What `/health` is told of publishing."""

from collections.abc import Collection

from status_watcher.core.health import Circuit
from status_watcher.publisher.delivery import Delivery
from status_watcher.publisher.health import Counts, Problems, PublisherHealth
from status_watcher.publisher.line import Line
from status_watcher.publisher.ports import Ledger


def report(
    posts: Collection[Delivery], line: Line, problems: Problems, counts: Counts, ledger: Ledger, now_s: float
) -> PublisherHealth:
    """How publishing is doing at `now_s`, a time of the loop's clock; without I/O."""
    pending = [post for post in posts if post.changed and not post.silent]
    return PublisherHealth(
        last_ok_s=None if line.last_ok_at_s is None else now_s - line.last_ok_at_s,
        circuit=Circuit(line.circuit.state, line.circuit.failures),
        token_refused=line.token_refused,
        pending=len(pending),
        oldest_pending_s=max((now_s - post.changed_at_s for post in pending), default=0.0),
        pause_s=max(0.0, line.gate.open_at_s - now_s),
        problems=(*_of_server(line), *problems.lines(now_s), *ledger.problems),
        counters=counts.all(),
    )


def _of_server(line: Line) -> tuple[str, ...]:
    if line.token_refused:
        return ("mattermost: token refused (401)",)
    if line.last_failure is None or (line.circuit.state == "closed" and line.last_ok_at_s is not None):
        return ()
    status = f" ({line.last_failure.status})" if line.last_failure.status else ""
    return (f"mattermost: {line.last_failure.reason.value}{status}",)
