"""T10, S1 with coverage to guide the bytes: minutes per target, from real lines and stores (`make fuzz`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import seeds

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
SLOWEST_S = 10
"""A hundred times what the slowest real transcript takes."""
TESTS = Path(__file__).parent.parent
SEEDS = {"line": seeds.lines, "transcript": seeds.transcripts, "index": seeds.stores}

pytestmark = [pytest.mark.long, pytest.mark.timeout(SECONDS + 300)]


@pytest.mark.parametrize("target", SEEDS)
def test_T10_no_input_that_reaches_new_code_raises(target, tmp_path):
    pytest.importorskip("atheris", reason="atheris has wheels for CPython 3.11 to 3.14 on Linux x86-64 only")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[target]()):
        (corpus / f"{number:04}").write_bytes(seed)
    done = subprocess.run(
        [
            sys.executable,
            str(TESTS / "fuzz" / "guided.py"),
            target,
            f"-max_total_time={SECONDS}",
            f"-timeout={SLOWEST_S}",
            "-print_final_stats=1",
            f"-artifact_prefix={tmp_path}/failed-",
            str(corpus),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    failing = [path.read_bytes() for path in tmp_path.glob("failed-*")]
    assert done.returncode == 0, f"{failing}\n{done.stderr[-5000:]}"
    runs = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    assert runs is not None, done.stderr[-5000:]
    print(f"fuzz: {target}: {runs[1]} inputs in {SECONDS} s")
    assert int(runs[1]) > len(SEEDS[target]())
