from status_watcher.core.missed import MissedEvents


def judged(missed, *, finds=0, events=0, at_s=0.0, polling=False):
    missed.judge(finds=finds, events=events, polling=polling, now_s=at_s)
    return missed.missing


def test_three_finds_that_nothing_announced_mean_that_events_do_not_arrive():
    missed = MissedEvents(0.0)
    assert not judged(missed, finds=2, events=9, at_s=2)
    assert judged(missed, finds=3, events=9, at_s=4)


def test_a_few_finds_in_a_long_time_mean_nothing():
    missed = MissedEvents(0.0)
    assert not judged(missed, finds=2, at_s=601)
    assert not judged(missed, finds=4, at_s=700)


def test_it_has_passed_when_events_come_again_and_miss_nothing_for_a_minute():
    missed = MissedEvents(0.0)
    assert judged(missed, finds=3, at_s=2)
    assert judged(missed, finds=3, at_s=63), "nothing was heard either"
    assert judged(missed, finds=4, events=5, at_s=124)
    assert not judged(missed, finds=4, events=8, at_s=185)


def test_finds_of_polling_mean_nothing():
    missed = MissedEvents(0.0)
    assert not judged(missed, finds=50, at_s=2, polling=True)
    assert not judged(missed, finds=52, at_s=4)
