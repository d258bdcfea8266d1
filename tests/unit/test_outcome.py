from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from status_watcher.core.outcome import (
    Answer,
    Denied,
    Gone,
    Ok,
    Reason,
    Rejected,
    RetryAfter,
    TokenRefused,
    Unavailable,
    classify,
    pause_s,
)

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
PERMISSIONS = "api.context.permissions.app_error"
TOO_LONG = "model.post.is_valid.msg.app_error"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200), Ok(None)),
        (Answer(201), Ok(None)),
        (Answer(401, error_id="api.context.session_expired.app_error"), TokenRefused()),
        (Answer(401, is_object=False, is_foreign=True), TokenRefused()),
        (Answer(403, error_id=PERMISSIONS), Denied(PERMISSIONS)),
        (Answer(404, error_id="app.post.get.app_error"), Gone()),
        (Answer(400, error_id=TOO_LONG), Rejected(400, TOO_LONG)),
        (Answer(405), Rejected(405, "")),
        (Answer(413, is_object=False, is_foreign=True), Rejected(413, "")),
        (Answer(408), Unavailable(Reason.TIMEOUT, 408)),
        (Answer(429, is_object=False, is_foreign=True, retry_after="1"), RetryAfter(1.0)),
        (Answer(500), Unavailable(Reason.SERVER_ERROR, 500)),
        (Answer(503, is_object=False, is_foreign=True), Unavailable(Reason.SERVER_ERROR, 503)),
        (Answer(599), Unavailable(Reason.SERVER_ERROR, 599)),
    ],
)
def test_each_class_of_answer_has_one_meaning(answer, outcome):
    assert classify(answer, NOW) == outcome


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, is_object=False),
        Answer(204, is_object=False),
        Answer(200, is_object=False, is_foreign=True),
        Answer(301),
        Answer(302, is_object=False, is_foreign=True),
        Answer(304),
        Answer(403, is_object=False, is_foreign=True),
        Answer(404, is_object=False, is_foreign=True),
        Answer(400, is_object=False, is_foreign=True),
        Answer(404, error_id="api.context.404.app_error"),
    ],
)
def test_M12_answer_that_is_not_mattermosts_says_nothing_about_a_post(answer):
    assert classify(answer, NOW) == Unavailable(Reason.MISROUTED, answer.status)


def test_create_that_still_runs_is_no_failure_of_the_server():
    outcome = classify(Answer(500, error_id="api.post.deduplicate_create_post.pending"), NOW)
    assert outcome == Unavailable(Reason.STILL_CREATING, 500)
    assert isinstance(outcome, Unavailable)
    assert not outcome.counts
    assert outcome.may_have_happened


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.DNS, Reason.TLS, Reason.CONNECT_TIMEOUT])
def test_request_that_never_left_leaves_no_doubt(reason):
    assert not Unavailable(reason).may_have_happened


@pytest.mark.parametrize(
    "reason", [Reason.TIMEOUT, Reason.DISCONNECTED, Reason.SERVER_ERROR, Reason.MISROUTED]
)
def test_request_without_a_usable_answer_may_have_been_done(reason):
    assert Unavailable(reason).may_have_happened


@pytest.mark.parametrize(
    ("retry_after", "reset", "pause"),
    [
        ("1", None, 1.0),
        (" 12 ", None, 12.0),
        ("1.5", None, 1.5),
        ("0", None, 1.0),
        ("-1", None, 1.0),
        ("999999", None, 300.0),
        ("9" * 30, None, 300.0),
        ("9" * 500, None, None),
        ("Fri, 20 Nov 2026 15:30:07 GMT", None, 7.0),
        ("Fri, 20 Nov 2026 15:30:07 -0000", None, 7.0),
        ("Fri, 20 Nov 2020 15:30:07 GMT", None, 1.0),
        ("Fri, 20 Nov 2099 15:30:07 GMT", None, 300.0),
        ("Fri, 99 Nov 2026 15:30:07 GMT", None, None),
        ("soon", None, None),
        ("", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("1e3", None, None),
        (None, None, None),
        (None, "4", 4.0),
        ("soon", "4", 4.0),
        ("2", "4", 2.0),
        (None, str(int(NOW.timestamp()) + 9), 9.0),
        (None, "-5", 1.0),
    ],
)
def test_M5_pause_is_read_from_either_header_and_clamped(retry_after, reset, pause):
    assert pause_s(retry_after, reset, NOW) == pause


@given(st.text(), st.text())
@example("", "0\x1f")
def test_M5_no_header_is_too_odd_for_a_pause_in_bounds(retry_after, reset):
    pause = pause_s(retry_after, reset, NOW)
    assert pause is None or 1 <= pause <= 300


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001 - made aware below
def test_M5_any_date_gives_a_pause_in_bounds(date):
    header = date.replace(tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    pause = pause_s(header, None, NOW + timedelta(0))
    assert pause is None or 1 <= pause <= 300
