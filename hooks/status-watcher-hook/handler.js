// Starts the status-watcher daemon when an OpenClaw gateway has come up.
//
// Promise to the gateway: returns at once, never throws and never rejects, whatever the event looks like.
// At most one line per startup on console.warn, never with a value from the environment or the configuration.
// Event shape and configuration place as seen in OpenClaw 2026.2.26, 2026.3.31, 2026.7.1 and 2026.9.6.

import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

const HOOK_NAME = "status-watcher-hook";
const COMMAND = "status-watcher";
const ALREADY_RUNNING = 3; // exit code of `status-watcher start`

export default function startStatusWatcher(event) {
  try {
    if (event?.type !== "gateway" || event.action !== "startup") return;
    const context = event.context;
    const environment = childEnvironment(process.env, configuredEnvironment(context));
    if (!environment.OPENCLAW_STATE_DIR) {
      const stateDir = installedStateDir(context);
      if (stateDir !== undefined) environment.OPENCLAW_STATE_DIR = stateDir;
    }

    const command = findCommand(environment);
    if (command === undefined) {
      warn(
        environment.STATUS_WATCHER_BIN
          ? "STATUS_WATCHER_BIN is not the absolute path of an executable file"
          : `${COMMAND} is not on the PATH; set STATUS_WATCHER_BIN in the env of this hook's entry`,
      );
      return;
    }
    start(command, environment);
  } catch (error) {
    warn(`could not start ${COMMAND}: ${errorCode(error)}`);
  }
}

function start(command, environment) {
  const child = spawn(command, ["start"], {
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
  if (configured) return isAbsolute(configured) && isExecutableFile(configured) ? configured : undefined;
  // Relative entries of PATH mean the gateway's working directory, which nobody chose for this.
  return (environment.PATH ?? "")
    .split(delimiter)
    .filter(isAbsolute)
    .map((directory) => join(directory, COMMAND))
    .find(isExecutableFile);
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
  const hooksParent = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
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
