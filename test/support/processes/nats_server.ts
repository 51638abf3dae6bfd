/**
 * NATS as a process, for tests.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { lastingPort } from "../../../tools/harness/lasting_port.ts";

/** The reason why tests with NATS don't run here; `false` if they do. */
export const skipNats: string | false = hasNats()
  ? false
  : "there is no nats-server on the PATH (on Debian: apt-get install nats-server)";

function hasNats(): boolean {
  try {
    return spawnSync("nats-server", ["--version"]).status === 0;
  } catch {
    return false;
  }
}

/** A NATS server on the loopback network, which keeps its port. */
export class NatsServer {
  readonly port: number;
  readonly #host: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, host: string, folder: string) {
    this.port = port;
    this.#host = host;
    this.#folder = folder;
  }

  /**
   * Starts one.
   *
   * @param settings Its configuration, but for the address.
   * @param host The address on which it listens.
   */
  static async start(settings = "", host = "127.0.0.1"): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-nats-"));
    const nats = new NatsServer(await lastingPort(), host, folder);
    await nats.restart(settings);
    return nats;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it again, after {@linkcode kill}. @param settings Another configuration; the same unless given. */
  async restart(settings?: string): Promise<void> {
    if (settings !== undefined) this.#configure(settings);
    this.#child = spawn("nats-server", ["-c", join(this.#folder, "nats.conf")], {
      stdio: "ignore",
    });
    for (let tries = 0; !await canConnect(this.port); tries++) {
      if (tries === 200) throw new Error("NATS doesn't listen");
      await sleep(100);
    }
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
  }

  /** Lets it take another configuration while it runs. */
  reload(settings: string): void {
    this.#configure(settings);
    this.signal("SIGHUP");
  }

  /** Lets it stand still, go on, or read its configuration. Deno's `ChildProcess.kill` kills once only. */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGHUP"): void {
    process.kill(this.#child!.pid!, name);
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #configure(settings: string): void {
    const address = `host: ${this.#host}\nport: ${this.port}\n`;
    writeFileSync(join(this.#folder, "nats.conf"), address + settings);
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("data", () => {
      resolve(true);
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
    socket.setTimeout(1_000, () => {
      resolve(false);
      socket.destroy();
    });
  });
}
