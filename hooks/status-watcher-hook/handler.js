// Starts the status-watcher daemon when an OpenClaw gateway has come up, and leaves it a note of that gateway:
// which process it is, whether it has been told to stop, and which sessions it is compacting.
//
// Promise to the gateway: returns at once, never throws and never rejects, whatever the event looks like.
// At most one line per event on console.warn, never with a value from the environment or the configuration.
// Event shapes and configuration place as seen in OpenClaw 2026.2.26, 2026.3.31, 2026.7.1 and 2026.9.6.
// `gateway:shutdown` fires in the last two, its context has no `cfg`. 2026.9.6 fires it only after it has waited for
// the runs, minutes maybe; older ones never. So the gateway's own signal is listened for as well.
// `session:compact:before|after` fire in 2026.9.6 for `/compact`, a full context and a prompt that was refused as too
// long; in 2026.7.1 not for the last, nor wherever else a run compacts by itself.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HOOK_NAME = "status-watcher-hook";
const COMMAND = "status-watcher";
const ALREADY_RUNNING = 3; // exit code of `status-watcher start`
const INSTALLED = "installed.json"; // written by `status-watcher hook install`: how to start what installed us
const NOTES = "gateways"; // in the daemon's STATE_DIR, which reads them: a note for each OpenClaw state directory
const NOTE_MAX_BYTES = 16384;
const MOST_COMPACTING = 20;
const KEY_MAX_CHARS = 400;
// A reloaded hook is a module of its own: what the startup knew is kept where the next one finds it.
const REMEMBERED = Symbol.for(HOOK_NAME);
const LISTENING = Symbol.for(`${HOOK_NAME}:signals`);
const HERE = dirname(fileURLToPath(import.meta.url));

export default function statusWatcherHook(event) {
  try {
    const { type, action } = event ?? {};
    if (type === "gateway" && action === "startup") onStartup(event.context);
    else if (type === "gateway" && action === "shutdown") quietly(() => tellOfStop(event));
    else if (type === "session" && action === "compact:before") quietly(() => tellOfCompaction(event));
    else if (type === "session" && action === "compact:after") quietly(() => tellOfCompaction(event));
  } catch (error) {
    warn(`could not do its work: ${errorCode(error)}`);
  }
}

function onStartup(context) {
  const environment = childEnvironment(process.env, configuredEnvironment(context));
  if (!environment.OPENCLAW_STATE_DIR) {
    const stateDir = installedStateDir(context);
    if (stateDir !== undefined) environment.OPENCLAW_STATE_DIR = stateDir;
  }
  const command = findCommand(environment);
  const known = remember(environment);
  // The daemon that is about to be started would make it; where none can be, nobody would read the note.
  if (command !== undefined) quietly(() => mkdirSync(known.daemon, { recursive: true, mode: 0o700 }));
  quietly(() => leaveNote(known, { atStartup: true }));
  listenToSignals();

  if (command === undefined) {
    warn(
      environment.STATUS_WATCHER_BIN
        ? "STATUS_WATCHER_BIN is not the absolute path of an executable file"
        : `${COMMAND} is not found; run \`${COMMAND} hook install\`, or set STATUS_WATCHER_BIN in the env of this hook's entry`,
    );
    return;
  }
  start(command, environment);
}

function listenToSignals() {
  const listening = (globalThis[LISTENING] ??= new Set());
  for (const signal of ["SIGTERM", "SIGINT"]) {
    if (listening.has(signal)) continue;
    listening.add(signal);
    // First, so that a listener of the gateway's that listens once still counts.
    process.prependOnceListener(signal, () => {
      listening.delete(signal);
      quietly(tellOfStop);
      // Where nobody else listens, the signal would have ended the process, had we not.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  }
}

function tellOfStop(event) {
  const known = remembered();
  const restartMs = event?.context?.restartExpectedMs;
  if (known.state !== "stopping") known.atMs = Date.now(); // the first word is the earlier one
  known.state = "stopping";
  known.restartExpectedMs = Number.isSafeInteger(restartMs) ? restartMs : null;
  leaveNote(known);
}

// 2026.9.6: a compaction can fail or be skipped after its `before`, without an `after`; the daemon reckons with that.
function tellOfCompaction(event) {
  const key = event.sessionKey;
  if (typeof key !== "string" || key === "" || key.length > KEY_MAX_CHARS) return;
  const known = remembered();
  if (event.action === "compact:after") {
    if (!known.compacting.delete(key)) return;
  } else {
    known.compacting.delete(key);
    known.compacting.set(key, Date.now());
    if (known.compacting.size > MOST_COMPACTING) known.compacting.delete(known.compacting.keys().next().value);
  }
  leaveNote(known);
}

function remember(environment) {
  const openclaw = inHome((environment.OPENCLAW_STATE_DIR ?? "").trim(), environment.HOME || userHome());
  const daemon = daemonStateDir(environment);
  const now = { state: "running", atMs: Date.now(), restartExpectedMs: null, compacting: new Map() };
  return (globalThis[REMEMBERED] = { openclaw, daemon, ...now });
}

function remembered() {
  return globalThis[REMEMBERED] ?? remember(childEnvironment(process.env, {}));
}

function leaveNote(known, { atStartup = false } = {}) {
  if (known.daemon === undefined || !existsSync(known.daemon)) return; // there has never been a daemon
  if (!existsSync(join(HERE, "HOOK.md"))) return; // uninstalled meanwhile, and our notes with it
  const path = notePath(known);
  const note = {
    state: known.state,
    at_ms: known.atMs,
    pid: process.pid,
    pid_namespace: pidNamespace(),
    process_start: processStart(),
    openclaw_state_dir: known.openclaw,
    restart_expected_ms: known.restartExpectedMs,
    compacting: Object.fromEntries(known.compacting),
  };
  // A gateway that has started since, while this one waits for its runs, has the word.
  if (!atStartup && isAnothers(path, note)) return;
  const unfinished = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(unfinished, `${JSON.stringify(note)}\n`, { mode: 0o600 });
    renameSync(unfinished, path);
  } catch (error) {
    quietly(() => rmSync(unfinished, { force: true }));
    throw error;
  }
}

function notePath({ openclaw, daemon }) {
  const name = createHash("sha256").update(openclaw).digest("hex").slice(0, 16);
  return join(daemon, NOTES, `${name}.json`);
}

function isAnothers(path, { pid, process_start }) {
  try {
    if (statSync(path).size > NOTE_MAX_BYTES) return false;
    const theirs = JSON.parse(readFileSync(path, "utf8"));
    return Number.isInteger(theirs.pid) && (theirs.pid !== pid || theirs.process_start !== process_start);
  } catch {
    return false;
  }
}

// A note that cannot be left would be no reason to hold a gateway up, or to talk.
function quietly(work) {
  try {
    work();
  } catch {
    // whatever is in the way
  }
}

function start(command, environment) {
  const [program, ...args] = command;
  const child = spawn(program, [...args, "start"], {
    cwd: survivingDir(environment.OPENCLAW_STATE_DIR),
    detached: true, // a session of its own: no signal meant for the gateway's terminal reaches it
    env: environment,
    stdio: "ignore",
  });
  child.on("error", (error) => warn(`could not start ${COMMAND}: ${errorCode(error)}`));
  child.on("exit", (code) => {
    if (code !== null && code !== 0 && code !== ALREADY_RUNNING) {
      warn(`\`${COMMAND} start\` ended with exit code ${code}${code === 78 ? " (bad settings, or state it cannot use)" : ""}`);
    }
  });
  child.unref();
}

// The gateway does not put an entry's `env` into process.env: it is only in the event's configuration.
function configuredEnvironment(context) {
  const configured = context?.cfg?.hooks?.internal?.entries?.[HOOK_NAME]?.env;
  return typeof configured === "object" && configured !== null ? configured : {};
}

function childEnvironment(inherited, configured) {
  const environment = { ...inherited };
  delete environment.STATE_DIRECTORY; // systemd's, for the gateway's unit: not the daemon's to write in
  for (const [name, value] of Object.entries(configured)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
    if (!["string", "number", "boolean"].includes(typeof value)) continue;
    const text = String(value);
    if (text.includes("\0")) continue; // spawn would refuse the whole environment
    if (text === "" && environment[name]) continue;
    environment[name] = text;
  }
  return environment;
}

function findCommand(environment) {
  const configured = environment.STATUS_WATCHER_BIN;
  if (configured) return isAbsolute(configured) && isExecutableFile(configured) ? [configured] : undefined;
  return installedCommand() ?? commandOnPath(environment.PATH ?? "");
}

function installedCommand() {
  try {
    const { command } = JSON.parse(readFileSync(join(HERE, INSTALLED), "utf8"));
    if (!Array.isArray(command) || !command.every((word) => typeof word === "string")) return undefined;
    return isAbsolute(command[0]) && isExecutableFile(command[0]) ? command : undefined;
  } catch {
    return undefined; // copied by hand, without the command
  }
}

function commandOnPath(path) {
  // Relative entries of PATH mean the gateway's working directory, which nobody chose for this.
  const found = path
    .split(delimiter)
    .filter(isAbsolute)
    .map((directory) => join(directory, COMMAND))
    .find(isExecutableFile);
  return found === undefined ? undefined : [found];
}

function isExecutableFile(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

// OpenClaw leaves OPENCLAW_STATE_DIR unset unless a person set it, but it installs hooks at known places:
// <state>/hooks/<name>/, or <workspace>/hooks/<name>/ with <state>/workspace as the usual workspace.
// A linked hook directory resolves to elsewhere; then the workspace that the gateway names is the only clue.
function installedStateDir(context) {
  const hooksParent = dirname(dirname(HERE));
  const candidates = [hooksParent, dirname(hooksParent)];
  if (typeof context?.workspaceDir === "string") candidates.push(dirname(context.workspaceDir));
  return candidates.find((path) => isAbsolute(path) && isStateDir(path));
}

function isStateDir(path) {
  if (existsSync(join(path, "openclaw.json"))) return true;
  try {
    return readdirSync(join(path, "agents")).some(
      (agent) => existsSync(join(path, "agents", agent, "sessions")) || existsSync(join(path, "agents", agent, "agent")),
    );
  } catch {
    return false; // no agents directory
  }
}

// The daemon keeps this directory busy for its whole life, so not the one the gateway happens to be in.
function survivingDir(stateDir) {
  return stateDir && isAbsolute(stateDir) && existsSync(stateDir) ? stateDir : "/";
}

// The same rule as the daemon's own (`load_state_dir`), for the environment that it is started with.
function daemonStateDir(environment) {
  const text = (name) => (environment[name] ?? "").trim();
  const home = text("HOME") || userHome();
  const configured = text("STATE_DIR");
  if (configured) return resolve(survivingDir(environment.OPENCLAW_STATE_DIR), inHome(configured, home));
  if (isAbsolute(text("XDG_STATE_HOME"))) return join(text("XDG_STATE_HOME"), COMMAND);
  return home ? join(home, ".local", "state", COMMAND) : undefined;
}

// No shell has done it in a unit's environment file.
function inHome(path, home) {
  return home && (path === "~" || path.startsWith("~/")) ? home + path.slice(1) : path;
}

function userHome() {
  try {
    return userInfo().homedir;
  } catch {
    return ""; // a uid without a name
  }
}

// When this process began, in the kernel's clock ticks since the machine's start: a PID alone may be used again.
function processStart() {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1");
    const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
    return Number.isSafeInteger(ticks) ? ticks : null;
  } catch {
    return null;
  }
}

function pidNamespace() {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

// Only the code: messages of child_process and fs quote the value they complain about.
function errorCode(error) {
  try {
    return /^E[A-Z0-9_]+$/.test(error.code) ? error.code : "unexpected error";
  } catch {
    return "unexpected error"; // somebody threw null, or worse
  }
}

function warn(problem) {
  try {
    console.warn(`${HOOK_NAME}: ${problem}`);
  } catch {
    // A gateway that cannot log is not ours to break.
  }
}
