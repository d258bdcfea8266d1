"""Performs the steps of a Dockerfile in bare directories, one per stage, in place of a container engine.

Knows the instructions that ours uses and refuses any other. Absolute paths of the image become paths below
the stage's directory; the image's `python` is an interpreter with pip and nothing else installed.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# How this machine reaches its package index, which an engine would be told as build arguments.
_NETWORK_SETTINGS = re.compile(r"PIP_.*|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE)
# The top directories that an image path may begin with; /usr and /bin stay the machine's own.
_IMAGE_PATH = re.compile(r"(?<![\w./])/(?=(?:opt|src|wheels|var|openclaw)\b)")


@dataclass(slots=True)
class Image:
    """What a stage left behind: its files below `root`, and how it would be run."""

    root: Path
    env: dict[str, str]
    workdir: Path
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    user: str = "root"
    volumes: list[str] = field(default_factory=list)

    def below(self, text: str) -> str:
        """The text with the image's absolute paths turned into real ones."""
        return _IMAGE_PATH.sub(lambda _: f"{self.root}/", text)

    def argv(self, command: list[str]) -> list[str]:
        """An exec-form command with its program looked up on the image's PATH."""
        program = shutil.which(command[0], path=self.env["PATH"])
        assert program is not None, f"{command[0]} is not on the image's PATH"
        return [program, *(self.below(argument) for argument in command[1:])]


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Each instruction with its text, continuation lines joined."""
    lines = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def build(dockerfile: str, context: list[str], source: Path, python: Path, scratch: Path) -> Image:
    """The last stage, built from the files of `source` that `context` lists, with `python` as the image's."""
    stages: dict[str, Image] = {}
    image: Image | None = None
    for name, rest in instructions(dockerfile):
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            assert base.startswith("python:3."), base
            root = scratch / f"stage{len(stages)}"
            for directory in ("opt", "var/lib"):
                (root / directory).mkdir(parents=True)
            image = Image(root, {"PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin"}, root)
            stages[alias or str(len(stages))] = image
            continue
        assert image is not None, f"{name} before FROM"
        match name:
            case "WORKDIR":
                image.workdir = Path(image.below(rest))
                image.workdir.mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(image, rest, context, source)
            case "RUN":
                _run(image, rest, stages)
            case "ENV":
                for assignment in shlex.split(rest):
                    key, _, value = assignment.partition("=")
                    image.env[key] = image.below(value).replace("$PATH", image.env["PATH"])
            case "VOLUME":
                image.volumes.append(image.below(rest))
            case "USER":
                image.user = rest
            case "HEALTHCHECK":
                image.healthcheck = json.loads(rest.partition("CMD ")[2])
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case "CMD":
                image.command = json.loads(rest)
            case _:
                raise AssertionError(f"{name}: not known to this test; teach it or leave it out")
    assert image is not None
    return image


def _copy(image: Image, rest: str, context: list[str], source: Path) -> None:
    assert not rest.startswith("--"), rest
    *origins, target = rest.split()
    into = Path(image.below(target))
    into = into if into.is_absolute() else image.workdir / into
    for origin in origins:
        whole_directory = origin.endswith("/")
        names = [name for name in context if name == origin or (whole_directory and name.startswith(origin))]
        assert names, f"COPY {origin}: the clone has no such file"
        for name in names:
            if whole_directory:
                destination = into / name.removeprefix(origin)
            else:
                destination = into / Path(name).name if target.endswith("/") else into
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, destination)


def _run(image: Image, rest: str, stages: Mapping[str, Image]) -> None:
    mounts = []
    while found := re.match(r"--mount=type=bind,from=(\w+),source=(\S+),target=(\S+)\s+", rest):
        mount = Path(image.below(found[3]))
        mount.symlink_to(stages[found[1]].below(found[2]))
        mounts.append(mount)
        rest = rest[found.end() :]
    network = {name: value for name, value in os.environ.items() if _NETWORK_SETTINGS.fullmatch(name)}
    ran = subprocess.run(
        ["/bin/sh", "-c", image.below(rest)],
        cwd=image.workdir,
        env={**network, **image.env},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        umask=0o022,
    )
    assert ran.returncode == 0, f"RUN {rest}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    for mount in mounts:
        mount.unlink()
