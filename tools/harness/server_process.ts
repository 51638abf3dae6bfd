import process from "node:process";
import denoConfig from "../../deno.json" with { type: "json" };
import { ProcessGroup } from "../../cli/process_group.ts";
import {
  childEnvironment,
  DENO_TASK,
  type Program,
  PROJECT_ROOT,
  type RuntimeName,
} from "../../cli/program.ts";
import { started } from "./started.ts";

/**
 * Milliseconds after which a server that doesn't stop is killed. One that isn't hung stops within 10 s.
 */
const STOP_PATIENCE_MS = 20_000;

/**
 * A command line that runs the server without a task runner. On Deno it is the task's own command line,
 * whose shell the server replaces.
 */
export function directCommand(runtime: RuntimeName, { path }: Program): readonly string[] {
  return runtime === "bun" ? [path, "run", "server/main.ts"] : denoConfig.tasks.serve.split(" ");
}

/** This project's server as a process of its own, on a free port unless its flags name one. */
export class ServerProcess {
  readonly port: number;
  /** The ID of the server's own process, not of the task runner. */
  readonly pid: number;
  /** The address of its admin port, as a URL; `undefined` if it has none. */
  readonly adminUrl: string | undefined;
  /** The port for WebSockets; `undefined` if it has none. */
  readonly webSocketPort: number | undefined;
  readonly #group: ProcessGroup;

  private constructor(group: ProcessGroup, { port, pid, adminUrl, webSocketPort }: Announcement) {
    this.#group = group;
    this.port = port;
    this.pid = pid;
    this.adminUrl = adminUrl;
    this.webSocketPort = webSocketPort;
  }

  /**
   * Starts a server, and waits until it listens. Its log goes to this process's standard error.
   *
   * @param flags Further flags of the server.
   * @param prefix The words before the program, such as `taskset -c 0`.
   * @param onSpawn Receives the server's process group before the server listens.
   * @throws {EnvironmentError} (rejects) if it doesn't start.
   */
  static async start(
    runtime: RuntimeName,
    program: Program,
    flags: readonly string[],
    prefix: readonly string[] = [],
    onSpawn: (group: ProcessGroup) => void = () => {},
  ): Promise<ServerProcess> {
    const start = runtime === "bun"
      ? directCommand(runtime, program)
      : [program.path, ...DENO_TASK, "serve"];
    const anyPort = flags.includes("--port") ? [] : ["--port", "0"];
    const command = [...prefix, ...start, ...anyPort, ...flags];
    const group = ProcessGroup.spawn(command, {
      cwd: PROJECT_ROOT,
      env: childEnvironment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    onSpawn(group);
    return new ServerProcess(
      group,
      await started(group, `the server on ${runtime}`, announcementIn),
    );
  }

  /** Asks the server to stop, without waiting. May be called more than once. */
  stop(): void {
    if (this.#isRunning) process.kill(this.#group.child.pid as number, "SIGTERM");
  }

  /**
   * Asks the server to stop, and resolves with its exit status when it has stopped; with `null` if a
   * signal ended it, as when it hung and was killed.
   */
  async stopped(): Promise<number | null> {
    const { child } = this.#group;
    if (!this.#isRunning) return child.exitCode;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    this.stop();
    const timer = setTimeout(() => this.#group.signal("SIGKILL"), STOP_PATIENCE_MS);
    const status = await ended;
    clearTimeout(timer);
    return status;
  }

  /** Ends it and all its processes at once. Resolves when they have ended. */
  async kill(): Promise<void> {
    this.#group.signal("SIGKILL");
    await this.#group.gone;
  }

  get #isRunning(): boolean {
    const { exitCode, signalCode } = this.#group.child;
    return exitCode === null && signalCode === null;
  }
}

/** The line that a server prints when it listens. */
interface Announcement {
  readonly port: number;
  readonly pid: number;
  readonly adminUrl: string | undefined;
  readonly webSocketPort: number | undefined;
}

/** Finds the line in which a server says that it listens. */
function announcementIn(said: string): Announcement | undefined {
  const match = /listening on \S+:(\d+) \(.*?pid (\d+)(?:[^)]*?, admin on ([^)]+))?[^)]*\)/
    .exec(said);
  if (match === null) return undefined;
  const webSocket = /WebSocket on wss?:\/\/[^,)]*:(\d+)/.exec(match[0])?.[1];
  return {
    port: Number(match[1]),
    pid: Number(match[2]),
    adminUrl: match[3],
    webSocketPort: webSocket === undefined ? undefined : Number(webSocket),
  };
}
