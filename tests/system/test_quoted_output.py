"""`start` tells why the daemon did not start, in its own words but for secrets."""

import os
import subprocess
import sys

from status_watcher.config import Config

TOKEN = "x5tqf1yz9byqwehx8jmsk4rggo"
HEALTH_TOKEN = "health-" + "kobold-lampe"
PASSWORD = "tanne" + "nebel72"
DIES = f"""
import os, sys
if "--daemon" in sys.orig_argv:
    print("status-watcher: cannot go on", file=sys.stderr)
    print("Traceback (most recent call last):", os.environ["MM_TOKEN"], file=sys.stderr)
    print("ValueError: bad token", os.environ["HEALTH_TOKEN"], file=sys.stderr)
    print("OSError: postgres://bob:{PASSWORD}@db/x in /srv/app/main.py", file=sys.stderr, flush=True)
    os._exit(1)
"""


def test_start_repeats_what_the_daemon_said_but_no_secret(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(DIES)  # read by the interpreter before any line of ours
    ours = {field.upper() for field in Config.model_fields}
    env = {name: value for name, value in os.environ.items() if name not in ours} | {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path),
        "MM_TOKEN": TOKEN,
        "MM_URL": "http://127.0.0.1:9",
        "HEALTH_TOKEN": HEALTH_TOKEN,
        "OPENCLAW_STATE_DIR": str(tmp_path),
        "STATE_DIR": str(tmp_path / "state"),
        "PID_FILE": str(tmp_path / "watcher.pid"),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "status_watcher", "start"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1, ran
    assert ran.stderr.splitlines() == [
        "status-watcher: cannot go on",
        "status-watcher: Traceback (most recent call last): (redacted)",
        "status-watcher: ValueError: bad token (redacted)",
        "status-watcher: OSError: postgres://bob:(redacted)@db/x in /srv/app/main.py",
        "status-watcher: did not start (exit code 1)",
    ]
    assert ran.stdout == ""
