import asyncio

import pytest
from publishing import until

from status_watcher.edge.breaker import Breaker

COOLDOWN_S = 0.1


@pytest.fixture
async def breaker():
    made = Breaker(3, COOLDOWN_S)
    yield made
    made.close()


def fail(breaker, times=1):
    for _ in range(times):
        permit = breaker.admit()
        assert permit is not None
        breaker.record(permit, failed=True)


async def test_M6_opens_at_the_threshold_and_admits_nobody(breaker):
    fail(breaker, 2)
    assert (breaker.state, breaker.failures) == ("closed", 2)
    fail(breaker)
    assert breaker.state == "open"
    assert breaker.admit() is None


async def test_M6_success_in_between_starts_the_count_again(breaker):
    fail(breaker, 2)
    breaker.record(breaker.admit(), failed=False)
    fail(breaker, 2)
    assert breaker.state == "closed"


async def test_M6_half_open_admits_one_probe_at_a_time(breaker):
    fail(breaker, 3)
    await until(lambda: breaker.state == "half_open")
    probe = breaker.admit()
    assert probe is not None
    assert breaker.admit() is None
    breaker.record(probe, failed=False)
    assert breaker.state == "closed"
    assert breaker.admit() is not None


async def test_M6_failed_probe_opens_again_for_the_same_time(breaker):
    loop = asyncio.get_running_loop()
    fail(breaker, 3)
    for _ in range(3):
        assert breaker.half_open_at_s == pytest.approx(loop.time() + COOLDOWN_S, abs=0.05)
        await until(lambda: breaker.state == "half_open")
        fail(breaker)
        assert breaker.state == "open"


async def test_M15_cancelled_probe_frees_its_place_and_is_no_failure(breaker):
    fail(breaker, 3)
    await until(lambda: breaker.state == "half_open")
    breaker.release(breaker.admit())
    assert breaker.state == "half_open"
    assert breaker.admit() is not None


async def test_late_failures_do_not_keep_the_circuit_open_longer(breaker):
    late = [breaker.admit() for _ in range(5)]
    fail(breaker, 3)
    opens_at = breaker.half_open_at_s
    for permit in late:
        breaker.record(permit, failed=True)
    assert breaker.half_open_at_s == opens_at
    await until(lambda: breaker.state == "half_open")


async def test_late_result_neither_closes_nor_opens_a_half_open_circuit(breaker):
    late = [breaker.admit(), breaker.admit()]
    fail(breaker, 3)
    await until(lambda: breaker.state == "half_open")
    probe = breaker.admit()
    breaker.record(late[0], failed=False)
    breaker.record(late[1], failed=True)
    breaker.release(late[0])
    assert breaker.state == "half_open"
    assert breaker.holds(probe)
    assert breaker.admit() is None


async def test_late_failure_of_an_earlier_era_is_not_counted_once_closed(breaker):
    late = breaker.admit()
    fail(breaker, 3)
    await until(lambda: breaker.state == "half_open")
    breaker.record(breaker.admit(), failed=False)
    breaker.record(late, failed=True)
    assert (breaker.state, breaker.failures) == ("closed", 0)


async def test_listeners_hear_each_change_once(breaker):
    heard = []
    breaker.subscribe(heard.append)
    fail(breaker, 3)
    await until(lambda: breaker.state == "half_open")
    breaker.record(breaker.admit(), failed=False)
    assert heard == ["open", "half_open", "closed"]
