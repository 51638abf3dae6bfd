import { setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { ImpossibleStrike, portsOf, record, type StrikeOnce } from "./strike_context.ts";

/** Milliseconds for which there is no NATS. */
const NATS_AWAY_MS = 2_000;

/** Milliseconds for members to notice that NATS is there again, and to get what they missed. */
const NATS_RETURN_MS = 8_000;

const ALONE = "the server is no member of a cluster";

/** Ends another member of the cluster at once, with all its workers, and starts it again. */
export const killMember: StrikeOnce = async ({ cluster, strikes, random, faults }) => {
  if (cluster === null) throw new ImpossibleStrike(ALONE);
  const member = cluster.others[random.below(cluster.others.length)]!;
  const { pid, port, workers } = member;
  // Stop it first, so that it accepts no client while its connections are listed, which may take seconds.
  const fromMs = performance.now();
  member.halt();
  const ports = (await Promise.all(workers.map((worker) => portsOf(worker, { port })))).flat();
  const over = strikes.addOutage(record("member_killed", pid, ports.length), ports, fromMs);
  await member.kill();
  try {
    await member.restart();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    faults.add("process_died", `a member can't be started again: ${error.message}`);
  } finally {
    over();
  }
};

/** Ends NATS at once, and starts it again. Other strikes take longer to come than members to return. */
export const restartNats: StrikeOnce = async ({ cluster, strikes, onDelayed }) => {
  if (cluster === null) throw new ImpossibleStrike(ALONE);
  const fromMs = Date.now();
  strikes.note(record("nats_restarted", cluster.natsPid, 0));
  await cluster.killNats();
  await sleep(NATS_AWAY_MS);
  await cluster.startNats();
  onDelayed(fromMs, Date.now() + NATS_RETURN_MS);
};
