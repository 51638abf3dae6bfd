import { setTimeout as sleep } from "node:timers/promises";
import { processesOf } from "../../harness/process_table.ts";
import { type Arena, isThere, portsOf, record, signal, type StrikeOnce } from "./arena.ts";

const LOOK_MS = 200;

/** How long all workers may take to be replaced, each of which may take 11 s to end, on a busy machine. */
const ROLL_PATIENCE_MS = 120_000;

/** How long a server may take to have all its workers again. */
const COMPLETE_PATIENCE_MS = 30_000;

/** Lets the server replace all its workers. */
export const roll: StrikeOnce = async (arena) => {
  const { watch, kills, faults, pid } = arena;
  const old = await completeWorkers(arena);
  if (old === undefined) return;
  for (const worker of old) watch.expectEnd(worker);
  const fromMs = performance.now();
  const ports = (await Promise.all(old.map((worker) => portsOf(worker, arena)))).flat();
  kills.addRoll(record("rolled", pid, ports.length), ports, fromMs);
  signal(pid, "SIGUSR2");
  const endMs = performance.now() + ROLL_PATIENCE_MS;
  while (old.some(isThere) && performance.now() < endMs) await sleep(LOOK_MS);
  kills.endRoll();
  for (const worker of old) {
    if (!isThere(worker)) continue;
    watch.expectNoEnd(worker);
    faults.add("not_replaced", `worker ${worker}, ${ROLL_PATIENCE_MS / 1000} s after SIGUSR2`);
  }
};

/** All workers, once the last one that has ended has a successor; none at the end. */
async function completeWorkers(arena: Arena): Promise<readonly number[] | undefined> {
  const endMs = performance.now() + COMPLETE_PATIENCE_MS;
  while (!arena.end.aborted && performance.now() < endMs) {
    const processes = await processesOf(arena.pid).catch(() => []);
    const workers = processes.map(({ pid }) => pid).filter((pid) => pid !== arena.pid);
    if (workers.length === arena.workers) return workers;
    await sleep(LOOK_MS);
  }
  return undefined;
}
