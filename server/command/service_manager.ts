import { spawn } from "node:child_process";
import process from "node:process";
import { complain } from "../../cli/say.ts";
import { readEnvironment } from "../../runtime/permissions.ts";
import { sendUnixDatagram } from "../../runtime/unix_datagram.ts";

/** Milliseconds for which the program that passes a state on may take. */
const PROGRAM_PATIENCE_MS = 5_000;

/**
 * The service manager that has started this process, if it wants to be told of its states: systemd with
 * `Type=notify`, or one that does as it does (`sd_notify`). Without one, nothing is done.
 *
 * On Bun states go to its socket. On Deno, and where Bun can't, the program `systemd-notify` passes them on,
 * so that the server's process needs no permission for sockets or files.
 */
export class ServiceManager {
  readonly #socket: string | undefined;
  readonly #program: string;
  #sending: Promise<void> = Promise.resolve();
  #watchdog: ReturnType<typeof setInterval> | undefined;
  #hasFailed = false;

  constructor() {
    this.#socket = readEnvironment("NOTIFY_SOCKET") || undefined;
    this.#program = readEnvironment("HOTWHEELS_NOTIFY") || "systemd-notify";
  }

  /** True if there is one, so that this process may have to start programs. */
  get isThere(): boolean {
    return this.#socket !== undefined;
  }

  /**
   * The server is ready. From now on the watchdog hears of each half of its time in which the event loop turns.
   *
   * @param status A line for people.
   */
  ready(status: string): void {
    this.#tell("READY=1", `STATUS=${status}`);
    const watchdogUs = Number(readEnvironment("WATCHDOG_USEC"));
    const pid = readEnvironment("WATCHDOG_PID");
    const isForUs = pid === undefined || pid === "" || Number(pid) === process.pid;
    if (!(watchdogUs > 0) || !isForUs || this.#watchdog !== undefined) return;
    this.#watchdog = setInterval(() => this.#tell("WATCHDOG=1"), watchdogUs / 2_000);
    this.#watchdog.unref();
  }

  /** The server reads its files again. */
  reloading(): void {
    this.#tell("RELOADING=1");
  }

  /** It has read them. */
  reloaded(): void {
    this.#tell("READY=1");
  }

  /** The server stops, within so many milliseconds. */
  stopping(withinMs: number): void {
    this.#tell(
      "STOPPING=1",
      "STATUS=stopping",
      `EXTEND_TIMEOUT_USEC=${Math.ceil(withinMs * 1000)}`,
    );
  }

  /** Resolves when all is passed on, and tells nothing more. */
  async end(): Promise<void> {
    clearInterval(this.#watchdog);
    await this.#sending;
  }

  /** Tells states, after those before. */
  #tell(...states: readonly string[]): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#sending = this.#sending.then(async () => {
      if (sendUnixDatagram(socket, states.join("\n"))) return;
      const failure = await this.#run(socket, states);
      if (failure === undefined || this.#hasFailed) return;
      this.#hasFailed = true;
      complain(`hotwheels: can't tell the service manager ${states[0]}: ${failure}`);
    });
  }

  /** @returns What went wrong, in a line. */
  #run(socket: string, states: readonly string[]): Promise<string | undefined> {
    return new Promise((resolve) => {
      try {
        const child = spawn(this.#program, states, {
          env: { NOTIFY_SOCKET: socket },
          stdio: "ignore",
          timeout: PROGRAM_PATIENCE_MS,
        });
        child.once("error", (error) => resolve(error.message));
        child.once("exit", (status) => {
          resolve(status === 0 ? undefined : `${this.#program} ended with ${status}`);
        });
      } catch (error) {
        resolve((error as Error).message.split("\n", 1)[0]);
      }
    });
  }
}
