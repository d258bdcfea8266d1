"""What open boxes say of a gateway that stops."""

from builders import KEY, Transcript, Watched, call, entry, ms, said

from status_watcher.core.gateway import GatewayStop


def said_at(at_s: float, *, gone: bool = False) -> GatewayStop:
    return GatewayStop(ms(at_s), gone=gone)


def heard(watched: Watched, at_s: float, stop: GatewayStop | None) -> None:
    watched.until(at_s)
    watched.board.hear_of_gateway(stop, ms(at_s))
    watched.at(at_s)


def running() -> tuple[Watched, Transcript]:
    watched, t = Watched(), Transcript()
    watched.at(0, t.header(), t.user(0), t.assistant(1, said("Working."), call("c1")))
    return watched, t


def first_line(watched: Watched) -> str:
    return watched.text.splitlines()[0]


def test_an_open_box_says_so_on_its_first_line_and_stays_open():
    watched, _ = running()
    heard(watched, 37, said_at(37))
    assert first_line(watched) == "[ACTIVE] main | 38s | gateway stopping"
    assert not watched.boxes[0].ended
    watched.until(200)
    assert first_line(watched).endswith("| gateway stopping"), "it drains for minutes"
    assert watched.states == ["ACTIVE"]


def test_the_runs_real_end_is_shown_as_ever():
    watched, t = running()
    heard(watched, 5, said_at(5))
    watched.at(60, t.ok(60, "c1"), t.final(61))
    assert watched.states == ["DONE"]
    assert "gateway" not in watched.text


def test_the_next_start_takes_the_note_away():
    watched, _ = running()
    heard(watched, 5, said_at(5))
    heard(watched, 29, said_at(5, gone=True))
    assert first_line(watched) == "[ACTIVE] main | 30s | gateway stopped"
    heard(watched, 39, None)
    assert first_line(watched) == "[ACTIVE] main | 40s"


def test_a_turn_that_began_later_is_another_gateways():
    watched, t = running()
    heard(watched, 5, said_at(5, gone=True))
    watched.at(8, t.ok(8, "c1"), t.final(8))
    watched.at(20, t.user(20), t.assistant(21, call("c2")))
    assert watched.states == ["DONE", "ACTIVE"]
    assert "gateway" not in watched.texts[1]


def test_a_box_that_has_ended_is_not_written_to():
    watched, t = running()
    watched.at(4, t.ok(4, "c1"), t.final(4))
    watched.board.hear_of_gateway(said_at(5), ms(5))
    assert watched.board.take_changes().touched == ()


def test_a_box_of_which_only_the_store_tells_says_so_too():
    watched = Watched(entries={KEY: entry(status="running", startedAt=ms(0))})
    watched.until(20)
    heard(watched, 20, said_at(20))
    assert first_line(watched).startswith("[ACTIVE] main | ")
    assert first_line(watched).endswith("| gateway stopping")


def test_our_own_stop_is_what_is_said_then():
    watched, _ = running()
    heard(watched, 5, said_at(5))
    watched.board.stop(ms(5))
    [(box_id, _)] = watched.board.take_changes().touched
    box = watched.board.render(box_id)
    assert box is not None
    assert box.text.splitlines()[0] == "[INTERRUPTED] main | 6s"
