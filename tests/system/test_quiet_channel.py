"""The operator's rules, names and links in the real daemon, and a box that nobody chases."""

import asyncio
import json
import subprocess
import sys

from daemon import box_says, boxes, during, eventually
from gateway import Gateway, Session

from status_watcher.exit_codes import ExitCode

SHOWN_WITHIN_S = 15.0


def channel(sandbox, name):
    return sandbox.store.add_channel(name, members=(sandbox.bot.id, sandbox.person.id)).id


async def test_rules_decide_what_is_shown_and_where(make_daemon, sandbox, tmp_path):
    quiet, jobs = channel(sandbox, "quiet"), channel(sandbox, "jobs")
    (tmp_path / "policy.toml").write_text(
        f'[[rule]]\nchannel = "{quiet}"\nlevel = "off"\n'
        f'[[rule]]\nkind = "cron"\nlevel = "compact"\nplacement = "{jobs}"\n'
    )
    daemon = await make_daemon(POLICY_FILE=str(tmp_path / "policy.toml"))
    gateway = Gateway(daemon.openclaw)
    await daemon.start()
    job = Session(gateway, "agent:main:cron:6d00cb98-4285-4337-98c2-85ac33d34d9a", {"label": "Cron: nightly"})
    unseen, seen = gateway.session(quiet), gateway.session(sandbox.channel.id)
    calls = [one.begin() for one in (unseen, job, seen)]
    await eventually(box_says(sandbox, "ACTIVE", "sleep 600", channel_id=sandbox.channel.id), SHOWN_WITHIN_S)
    await eventually(box_says(sandbox, "ACTIVE", "Cron: nightly", channel_id=jobs), SHOWN_WITHIN_S)
    for session, call in zip((unseen, job, seen), calls, strict=True):
        session.finish(call)
    for where in (jobs, sandbox.channel.id):
        await eventually(box_says(sandbox, "DONE", channel_id=where), SHOWN_WITHIN_S)
    assert boxes(sandbox, quiet) == []
    (post,) = boxes(sandbox, jobs)
    assert "\n" not in post.message


async def test_compact_box_of_a_busy_turn_costs_next_to_nothing(make_daemon, sandbox, tmp_path):
    (tmp_path / "policy.toml").write_text('[[rule]]\nlevel = "compact"\n')
    daemon = await make_daemon(POLICY_FILE=str(tmp_path / "policy.toml"), THROTTLE_MS="50")
    await daemon.start()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    call = session.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    for _ in range(30):
        session.result(call)
        call = session.call("exec", command="make")
        await asyncio.sleep(0.1)  # the pace of the load
    session.finish(call)
    await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    edits = [request for request in sandbox.requests if request.method == "PUT"]
    assert len(edits) <= 2, "60 lines in 3 s"


async def test_changed_rules_count_from_the_next_start(make_daemon, sandbox, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text("")
    daemon = await make_daemon(POLICY_FILE=str(policy))
    await daemon.start()
    policy.write_text('[[rule]]\nlevel = "off"\n')
    gateway = Gateway(daemon.openclaw)
    first, second = gateway.session(sandbox.channel.id), gateway.session(channel(sandbox, "second"))
    call = first.begin()
    await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    assert await daemon.stop() == 0
    await daemon.start()
    second.begin()
    first.finish(call)
    post = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert "\n" not in post.message, "what was begun is brought to its end"
    await during(1.0, lambda: len(boxes(sandbox)) == 1, "a box where there is to be none")


async def test_job_is_named_by_the_ledger_and_links_to_its_issue(make_daemon, sandbox, tmp_path):
    ledger = tmp_path / "labels.json"
    daemon = await make_daemon(
        DEFAULT_CHANNEL=sandbox.channel.id, LABELS_FILE=str(ledger), LINK_HOSTS="git.example.org/acme"
    )
    await daemon.start()
    key = "agent:main:hook:6d00cb98-4285-4337-98c2-85ac33d34d9a"
    ledger.write_text(json.dumps({"gitea-web-12-fix": {"sessionKey": key}}))
    await eventually(lambda: daemon.events("labels_ledger_readable"), SHOWN_WITHIN_S)
    Session(Gateway(daemon.openclaw), key, {}).begin()
    link = "[issue 12](https://git.example.org/acme/web/issues/12)"
    await eventually(box_says(sandbox, "ACTIVE", "gitea-web-12-fix", link), SHOWN_WITHIN_S)


def test_bad_rules_are_told_all_at_once_with_exit_code_78(tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nlevl = "secret-value"\nkind = "dm"\n[[rule]]\nlevel = "secret-value"\n')
    settings = {"MM_URL": "http://127.0.0.1:1", "MM_TOKEN": "t" * 26, "POLICY_FILE": str(policy)}
    result = subprocess.run(
        [sys.executable, "-m", "status_watcher", "run"],
        env=settings | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == ExitCode.BAD_CONFIG
    assert "POLICY_FILE: rule 1: levl: is not known; did you mean level?\n" in result.stderr
    assert "POLICY_FILE: rule 2: level: must be one of off, compact, normal, detailed\n" in result.stderr
    assert "secret" not in result.stderr


async def test_box_that_others_buried_stays_where_it_is(make_daemon, sandbox):
    daemon = await make_daemon()
    await daemon.start()
    session = Gateway(daemon.openclaw).session(sandbox.channel.id)
    call = session.begin()
    first = await eventually(box_says(sandbox, "ACTIVE"), SHOWN_WITHIN_S)
    for number in range(30):
        sandbox.store.post_as(sandbox.person.id, sandbox.channel.id, f"message {number}")
        session.result(call)
        call = session.call("exec", command=f"step {number}")
        await asyncio.sleep(0.05)  # the pace of the load
    session.finish(call)
    last = await eventually(box_says(sandbox, "DONE"), SHOWN_WITHIN_S)
    assert last.id == first.id
    assert last.root_id == ""
    posts = sandbox.store.posts.values()
    assert [post for post in posts if post.user_id == sandbox.bot.id] == [last], "also none that is deleted"
    assert not [post for post in posts if post.root_id == last.id], "no thread under it"
