"""Where the sessions directories are when `session.store` of openclaw.json puts the indexes elsewhere.

Transcripts lie beside the index with some versions; with 2026.7.1 those of channels and jobs stay in
OpenClaw's own directories (seen live), so both are followed. A 2026.9.6 database moves where the setting ends
in OpenClaw's own layout (seen live). After a change, 2026.7.1 writes to both until it is started anew.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from status_watcher.core.filenames import printable
from status_watcher.core.session_store import AGENT, PerAgent, Single, StorePlace, Unplaced, UsualBelow
from status_watcher.edge.locate import (
    ONLY_AGENT,
    Layout,
    Located,
    SessionsDir,
    children_of,
    is_directory,
    leads_out,
    locate,
    within,
)
from status_watcher.model import AgentId

_SETTING = "session.store of openclaw.json"


def with_store(layout: Layout, store: StorePlace | None) -> Layout:
    """The layout with what OpenClaw is told, unless we are told where the sessions are."""
    if layout.named or store is None or isinstance(store, Unplaced):
        return layout
    if store == UsualBelow(os.fspath(layout.state_dir)):
        return layout
    return replace(layout, store=store)


def locate_sessions(layout: Layout) -> Located:
    """The sessions directories there are now. Blocking, never raises for what the file system says."""
    found = _locate_one(layout)
    if layout.left is None:
        return found
    return _with_left(found, _locate_one(layout.left), all_in_one=isinstance(layout.store, Single))


def _locate_one(layout: Layout) -> Located:
    match layout.store:
        case None:
            return locate(layout)
        case UsualBelow(directory):
            found = locate(Layout(Path(directory)))
        case Single(index_path):
            found = _single(index_path)
        case PerAgent():
            found = _per_agent(layout.store)
        case _:
            assert_never(layout.store)
    return _with_own(found, locate(Layout(layout.state_dir)), all_in_one=isinstance(layout.store, Single))


def _with_own(found: Located, own: Located, *, all_in_one: bool) -> Located:
    """With OpenClaw's own directories for the transcripts of those agents whose index was found."""
    indexes = {place.agent: place for place in found.sessions}
    asides = []
    for place in own.sessions:
        main = indexes.get(ONLY_AGENT if all_in_one else place.agent)
        if main is not None and main.path != place.path:
            asides.append(replace(main, path=place.path, root=own.root, aside=True))
    return replace(
        found,
        sessions=(*found.sessions, *asides),
        nurseries=tuple(dict.fromkeys((*found.nurseries, *own.nurseries))),
    )


def _with_left(found: Located, left: Located, *, all_in_one: bool) -> Located:
    """With what is at the place that was left: its indexes, and transcripts that are nowhere else."""
    mains = {place.agent: place for place in found.sessions if not place.aside}
    paths = {place.path for place in found.sessions}
    indexes: dict[AgentId, list[str]] = {}
    added = []
    for place in left.sessions:
        agent = ONLY_AGENT if all_in_one and mains else place.agent
        if not place.aside:
            indexes.setdefault(agent, []).append(place.index_path)
        if place.path not in paths:
            root = place.root or left.root
            main = mains.get(agent)
            here = place if main is None else replace(main, path=place.path, aside=True)
            added.append(replace(here, root=root))
    sessions = (
        replace(place, left_indexes=tuple(p for p in indexes.get(place.agent, ()) if p != place.index_path))
        for place in (*found.sessions, *added)
    )
    return replace(
        found,
        sessions=tuple(sessions),
        nurseries=tuple(dict.fromkeys((*found.nurseries, *left.nurseries))),
        problems=tuple(dict.fromkeys((*found.problems, *left.problems))),
        missing=found.missing and left.missing,
    )


def _single(index_path: str) -> Located:
    directory, _, name = index_path.rpartition("/")
    root = os.path.realpath(directory or "/")
    if not is_directory(root):
        return Located(root, missing=_missing(directory))
    place = SessionsDir(ONLY_AGENT, root, f"{root}/{name}", apart=True)
    return Located(root, (place,), problems=_databases_in(place))


def _per_agent(store: PerAgent) -> Located:
    root = os.path.realpath(store.parent)
    if not is_directory(root):
        return Located(root, missing=_missing(store.parent))
    found: list[SessionsDir] = []
    nurseries, problems = [root], []
    for name, is_dir in sorted(children_of(root)):
        agent = store.agent_of(name)
        if not agent or name.startswith(".") or is_dir is not bool(store.below):
            continue
        index_dir, _, index_name = store.index_of(agent).rpartition("/")
        real = within(root, index_dir)
        if real is None:
            problems.append(leads_out(index_dir))
        elif not is_directory(real):
            nurseries.append(f"{root}/{name}")
        # A directory that holds agents among other things is no reason to follow everything in it.
        elif real not in (root, f"{root}/{name}") or os.path.isfile(f"{real}/{index_name}"):  # noqa: PTH113 - as with is_directory
            place = SessionsDir(AgentId(printable(agent)), real, f"{real}/{index_name}", apart=True)
            found.append(place)
            problems += _databases_in(place)
    if len({place.path for place in found}) < len(found):
        together = f"{_SETTING} keeps the indexes of several agents in one directory: not followed"
        return Located(root, nurseries=(root,), problems=(together,))
    missing = "" if found else f"no sessions directory at {printable(store.index_of('*'))} yet ({_SETTING})"
    return Located(root, tuple(found), tuple(nurseries), tuple(problems), missing)


def _databases_in(place: SessionsDir) -> tuple[str, ...]:
    """OpenClaw 2026.9.6 puts a database in the index's place, under a name that only it can tell for sure."""
    stem = place.index_path.rpartition("/")[2].partition(".")[0]
    if not any(
        name.startswith(f"{stem}.") and name.endswith(".sqlite") for name, _ in children_of(place.path)
    ):
        return ()
    where = f"agent {place.agent}: there is a database where {_SETTING} leads to"
    return (f"{where}: such are followed only if it ends in /agents/{AGENT}/sessions/sessions.json",)


def _missing(directory: str) -> str:
    return f"{printable(directory)} is no directory yet ({_SETTING})"
