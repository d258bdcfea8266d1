// A gateway as far as the hook can tell: imports the handler by file URL, hands it an event, prints what came of it.
// node drive_hook.mjs HANDLER EVENT_EXPRESSION CALLS [RECORDS_DIR]
// With RECORDS_DIR it stays until as many children as calls have written a record there and have ended.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [handlerPath, expression, calls, recordsDir] = process.argv.slice(2);
const { default: handler } = await import(pathToFileURL(handlerPath).href);
const report = { threw: 0, slowest_ms: 0, answers: [] };

for (let call = 0; call < Number(calls); call += 1) {
  const event = new Function(`return (${expression});`)();
  const begun = performance.now();
  try {
    const answer = handler(event);
    report.slowest_ms = Math.max(report.slowest_ms, performance.now() - begun);
    report.answers.push(String(await answer));
  } catch {
    report.threw += 1;
  }
}

function ended(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

if (recordsDir !== undefined) {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const pids = readdirSync(recordsDir)
      .filter((name) => name.endsWith(".json"))
      .map((name) => Number(name.slice(0, -5)));
    if (pids.length >= Number(calls) && pids.every(ended)) break;
    await delay(10);
  }
}
console.log(JSON.stringify(report));
