"""One target under atheris: `python tests/fuzz/guided.py TARGET [libFuzzer options] CORPUS`.

Needs `tests` on the path. New inputs go into the corpus, a failing one to where `-artifact_prefix` says.
"""

import sys

import atheris

with atheris.instrument_imports(include=["status_watcher.core"]):
    from fuzz import targets

TARGETS = {
    "line": targets.read_line,
    "transcript": targets.fold_transcript,
    "index": targets.read_index,
}

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
