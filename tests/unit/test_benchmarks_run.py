"""`make bench` can be started; what it finds is for people to read, not for tests to judge."""

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"


def test_quick_fold_benchmark_prints_each_figure_beside_its_goal_as_json():
    command = [sys.executable, str(RUN), "--quick", "--json", "fold"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    figures = {figure["name"]: figure for figure in json.loads(ran.stdout)}
    rate = figures["rate / orjson.loads"]
    assert rate["goal"] == {"at": ">=", "bound": 0.4}
    assert rate["met"] is (rate["value"] >= 0.4)
    assert figures["lines/s"]["value"] > 0


def test_half_an_hour_of_work_costs_no_more_edits_than_promised_and_shows_nothing_too_late():
    """In simulated time, where the figures are the same each time: these are promises."""
    command = [sys.executable, str(RUN), "--quick", "--json", "edits"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    figures = json.loads(ran.stdout)
    assert [f"{f['part']}: {f['name']}" for f in figures if f["met"] is False] == []
    values = {(figure["part"], figure["name"]): figure["value"] for figure in figures}
    assert values["edits: busy turn", "edits of a plain throttle"] == 1_200
    assert values["edits: one long call", "edits"] < 45
    assert values["edits: 20 turns", "held back by the budget"] > 0


def test_copies_of_a_recording_share_no_id_and_keep_its_length():
    script = (
        "import re, sys; sys.path.insert(0, sys.argv[1]);"
        "from stencil import stencils; from status_watcher.demo.captures import load_demo;"
        "(stencil,) = stencils(load_demo('tools'));"
        'ids = [set(re.findall(rb\'"(?:id|toolCallId)":"([^"]+)"\', stencil.copy(n))) for n in (1, 2)];'
        "print(len(stencil.copy(1)) == len(stencil.copy(2)), len(ids[0]) > 20, ids[0] & ids[1])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(RUN.parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.split() == ["True", "True", "set()"]
