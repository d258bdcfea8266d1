from math import inf

from status_watcher.core.throttle import (
    BACKOFF_S,
    Gate,
    Pace,
    Patience,
    after_failure,
    after_success,
    after_write,
    due_s,
    passed,
    patience_s,
    shut,
)
from status_watcher.model import Urgency

THROTTLE_S = 0.5
TICK_S = 10.0
PATIENCE = Patience()


def test_first_edit_is_due_at_once():
    assert due_s(Pace()) == -inf


def test_next_edit_is_due_a_throttle_after_the_last_answer():
    assert due_s(after_write(Pace(), 100.0, THROTTLE_S, TICK_S)) == 100.5


def test_edit_of_the_elapsed_time_alone_waits_longer():
    assert due_s(after_write(Pace(), 100.0, THROTTLE_S, TICK_S), Urgency.TICK) == 110.0


def test_back_off_grows_and_stays_bounded():
    pace, waits = Pace(), []
    for _ in range(8):
        pace = after_failure(pace, 0.0, jitter=0.0)
        waits.append(due_s(pace))
    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0]


def test_jitter_shortens_a_wait_by_half_at_most():
    assert due_s(after_failure(Pace(), 0.0, jitter=1.0)) == BACKOFF_S[0] / 2


def test_success_ends_the_back_off_but_not_the_throttle():
    pace = after_failure(after_write(Pace(), 0.0, THROTTLE_S, TICK_S), 0.0, jitter=0.0)
    assert after_success(pace) == after_write(Pace(), 0.0, THROTTLE_S, TICK_S)


def _opens_after(request_takes_s, threshold=5):
    """When the failure that opens the circuit is known, for one busy box whose first request is at 0."""
    now, pace = 0.0, Pace()
    for failures in range(threshold):
        started = max(now, due_s(pace))
        now = started + min(request_takes_s, patience_s(PATIENCE, failures, on_trial=False))
        pace = after_failure(after_write(pace, now, THROTTLE_S, TICK_S), started, jitter=0.0)
    return now


def test_circuit_opens_within_20_s_whether_the_server_refuses_or_hangs():
    assert _opens_after(0.001) < 20
    assert _opens_after(inf) < 20


def test_short_restart_of_the_server_does_not_open_the_circuit():
    assert _opens_after(0.001) > 5


def test_probe_of_a_half_open_circuit_is_given_the_long_time():
    assert patience_s(PATIENCE, 5, on_trial=True) == PATIENCE.at_first_s > 5.01


def test_M5_gate_stays_shut_for_the_pause_that_was_asked():
    assert shut(Gate(), 100.0, 7.0).open_at_s == 107.0


def test_M5_later_shorter_pause_does_not_open_the_gate_earlier():
    assert shut(shut(Gate(), 100.0, 7.0), 101.0, 1.0).open_at_s == 107.0


def test_M5_unsaid_pause_doubles_up_to_a_minute():
    gate, pauses, now = Gate(), [], 0.0
    for _ in range(9):
        gate = shut(gate, now, None)
        pauses.append(gate.open_at_s - now)
        now = gate.open_at_s
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_M5_refusals_of_requests_under_way_together_count_once():
    gate = shut(Gate(), 0.0, None)
    assert shut(gate, 0.1, None).refusals == 1


def test_M5_success_forgets_earlier_refusals():
    assert passed(shut(Gate(), 0.0, None)).refusals == 0
