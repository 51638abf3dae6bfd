import type { Logger } from "@logtape/logtape";
import { settledWithin } from "../timing/settled_within.ts";
import type { WorkerProcess } from "./worker_process.ts";

/**
 * Milliseconds that workers have until all that had arrived is read and forwarded; they take 2 s at most
 * themselves. A worker that hangs must not keep the others from telling their clients.
 */
const DRAIN_PATIENCE_MS = 3_000;

/**
 * Milliseconds for which a worker may give no sign of life. Until then the others keep what it hasn't
 * taken, and they need some time after that to end.
 */
const HANG_PATIENCE_MS = 9_000;

/**
 * Milliseconds that workers have to end, on top of the time over which they close their connections: a bit
 * more than a graceful stop takes at most.
 */
export const STOP_PATIENCE_MS = 9_700;

/**
 * Further milliseconds for a worker that ends alone while another one hangs: until that goes on, or is
 * ended.
 */
export const TAKING_PATIENCE_MS = 13_500;

/**
 * Stops workers gracefully. Resolves when all have ended; a worker that takes too long is killed.
 *
 * @param plannedMs Milliseconds over which they close their connections, as they were told at their start.
 * @param drainMs The same, if they shall take another time.
 * @param save Saves what a worker has stored that has retired, when the others have ended; absent if nothing is
 * to be saved.
 */
export async function stopWorkers(
  workers: readonly WorkerProcess[],
  plannedMs: number,
  logger: Logger,
  drainMs?: number,
  save?: (worker: WorkerProcess) => Promise<void>,
): Promise<void> {
  const order = { do: "stop", ...(drainMs === undefined ? {} : { drainMs }) } as const;
  const patience = setTimeout(() => {
    for (const worker of workers) worker.kill();
  }, STOP_PATIENCE_MS + (drainMs ?? plannedMs));
  // A worker that isn't up yet has no clients, and may never come up.
  for (const worker of workers) if (worker.servingSinceMs === undefined) worker.kill();
  for (const worker of workers) void endIfItHangs(worker, logger);
  // The others have to deliver what one worker has accepted, so no worker leaves before all have drained.
  const drained = workers.map((worker) => worker.order({ do: "drain" }));
  await settledWithin(DRAIN_PATIENCE_MS, drained);
  const keeper = save && workers.find((worker) => !worker.hasEnded && worker.isListening);
  const others = workers.filter((worker) => worker !== keeper);
  for (const worker of others) worker.order(order).catch(() => {});
  if (keeper !== undefined) {
    await Promise.allSettled([
      keeper.order({ ...order, do: "retire" }),
      ...others.map((worker) => worker.ended),
    ]);
    await save?.(keeper);
    keeper.order(order).catch(() => {});
  }
  await Promise.all(workers.map((worker) => worker.ended));
  clearTimeout(patience);
}

async function endIfItHangs(worker: WorkerProcess, logger: Logger): Promise<void> {
  let isAlive = false;
  const sign = worker.order({ do: "ping" }).catch(() => {}).then(() => isAlive = true);
  await settledWithin(HANG_PATIENCE_MS, [sign]);
  if (isAlive) return;
  logger.error("{worker} gives no sign of life; it is ended", { worker: worker.name });
  worker.kill();
}
