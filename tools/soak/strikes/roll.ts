import { setTimeout as sleep } from "node:timers/promises";
import { processesOf } from "../../harness/process_table.ts";
import {
  isThere,
  portsOf,
  record,
  signal,
  type StrikeContext,
  type StrikeOnce,
} from "./strike_context.ts";

const LOOK_MS = 200;

/** Milliseconds to replace all workers. Each may take 11 s to end on a busy machine. */
const ROLL_PATIENCE_MS = 120_000;

/** Milliseconds for a server to have all its workers again. */
const COMPLETE_PATIENCE_MS = 30_000;

/** Makes the server replace all its workers. */
export const roll: StrikeOnce = async (context) => {
  const { watch, strikes, faults, pid } = context;
  const old = await completeWorkers(context);
  if (old === undefined) return;
  for (const worker of old) watch.expectEnd(worker);
  const fromMs = performance.now();
  const ports = (await Promise.all(old.map((worker) => portsOf(worker, context)))).flat();
  const goodbye = strikes.addGoodbye(record("rolled", pid, ports.length), ports, fromMs);
  signal(pid, "SIGUSR2");
  const endMs = performance.now() + ROLL_PATIENCE_MS;
  while (old.some(isThere) && performance.now() < endMs) await sleep(LOOK_MS);
  goodbye.end();
  for (const worker of old) {
    if (!isThere(worker)) continue;
    watch.expectNoEnd(worker);
    faults.add("not_replaced", `worker ${worker}, ${ROLL_PATIENCE_MS / 1000} s after SIGUSR2`);
  }
};

/** All workers, once each that ended has a successor; `undefined` when strikes end. */
async function completeWorkers(context: StrikeContext): Promise<readonly number[] | undefined> {
  const endMs = performance.now() + COMPLETE_PATIENCE_MS;
  while (!context.end.aborted && performance.now() < endMs) {
    const processes = await processesOf(context.pid).catch(() => []);
    const workers = processes.map(({ pid }) => pid).filter((pid) => pid !== context.pid);
    if (workers.length === context.workers) return workers;
    await sleep(LOOK_MS);
  }
  return undefined;
}
