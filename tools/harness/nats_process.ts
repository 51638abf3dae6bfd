/**
 * Runs NATS as a process of its own, for servers that are a cluster.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { EnvironmentError } from "../../cli/command_line.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import { childEnvironment } from "../../cli/program.ts";

/** Milliseconds that NATS has to start, which takes it some hundredths of a second. */
const START_PATIENCE_MS = 10_000;

/** Milliseconds in which it says its version. */
const VERSION_PATIENCE_MS = 10_000;

/** Debian has it where only root's PATH leads. */
const PROGRAMS = ["nats-server", "/usr/sbin/nats-server"] as const;

/**
 * The program, by its name or its path.
 *
 * @throws {EnvironmentError} if it isn't installed.
 */
export function findNats(): string {
  const found = PROGRAMS.find(runs);
  if (found !== undefined) return found;
  throw new EnvironmentError(
    "a cluster needs nats-server, which isn't installed here; sudo apt-get install -y nats-server, " +
      "or see https://nats.io/download",
  );
}

function runs(program: string): boolean {
  const options = { env: childEnvironment(), timeout: VERSION_PATIENCE_MS };
  try {
    return spawnSync(program, ["--version"], options).status === 0;
  } catch {
    return false;
  }
}

/** NATS, without a configuration: whoever reaches its port may publish and subscribe. */
export class NatsProcess {
  readonly port: number;
  readonly pid: number;
  readonly #group: ProcessGroup;

  private constructor(group: ProcessGroup, port: number) {
    this.#group = group;
    this.port = port;
    this.pid = group.child.pid!;
  }

  /**
   * Starts NATS, and waits until it listens.
   *
   * @param place The address to listen on; port 0 lets the system choose.
   * @param prefix The words before the program, such as `taskset -c 0`.
   * @param onSpawn Receives its process group before it listens.
   * @throws {EnvironmentError} (rejects) if it isn't installed, or doesn't start.
   */
  static async start(
    place: { readonly hostname: string; readonly port: number },
    prefix: readonly string[] = [],
    onSpawn: (group: ProcessGroup) => void = () => {},
  ): Promise<NatsProcess> {
    const port = place.port === 0 ? "-1" : String(place.port);
    const command = [...prefix, findNats(), "--addr", place.hostname, "--port", port];
    const group = ProcessGroup.spawn(command, {
      env: childEnvironment(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    onSpawn(group);
    return new NatsProcess(group, await listening(group));
  }

  /** Ends it at once, and resolves when it has ended. May be called more than once. */
  async kill(): Promise<void> {
    this.#group.signal("SIGKILL");
    await this.#group.gone;
  }
}

/** Waits until it says where it listens. Resolves with the port. */
function listening(group: ProcessGroup): Promise<number> {
  const { child } = group;
  return new Promise((resolve, reject) => {
    const fail = (how: string) => {
      clearTimeout(timer);
      reject(new EnvironmentError(`nats-server did not start: ${how}`));
    };
    const timer = setTimeout(() => {
      group.signal("SIGKILL");
      fail(`it didn't say that it is ready within ${START_PATIENCE_MS / 1000} s`);
    }, START_PATIENCE_MS);
    let said = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      // Its later output is read, so that it never waits, and not kept.
      if (said === "ready") return;
      said += text;
      const port = /Listening for client connections on \S+:(\d+)/.exec(said)?.[1];
      if (port === undefined || !said.includes("Server is ready")) return;
      said = "ready";
      clearTimeout(timer);
      resolve(Number(port));
    });
    child.once("error", (error) => fail(error.message));
    child.once("exit", (status, signal) => {
      const [why] = /\[(?:FTL|ERR)\] .*/.exec(said) ?? [];
      fail(why ?? `it ended with ${status ?? signal}`);
    });
  });
}
