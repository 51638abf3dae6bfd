import { fileURLToPath } from "node:url";
import { ProcessGroup } from "../../../cli/process_group.ts";
import { childEnvironment, findProgram, type RuntimeName } from "../../../cli/program.ts";

/**
 * Runs clients in a process of their own, so that they don't delay other clients or measurements. The
 * process gets an order as JSON, sends notes as lines of JSON, and is told when to finish.
 */
export class ClientProcess {
  /** Resolves with the exit status or signal when the process has ended. */
  readonly ended: Promise<number | string | null>;
  readonly #group: ProcessGroup;

  /**
   * @param script The URL of its main module.
   * @param order The order, which is passed as JSON.
   * @param onNote Receives each note.
   * @param environment Variables beside the usual ones.
   */
  constructor(
    runtime: RuntimeName,
    script: string,
    order: object,
    onNote: (note: unknown) => void,
    environment: Readonly<Record<string, string>> = {},
  ) {
    const { path } = findProgram(runtime);
    const run = runtime === "deno" ? ["run", "--quiet", "--no-prompt", "--allow-net"] : ["run"];
    const command = [path, ...run, fileURLToPath(script), JSON.stringify(order)];
    this.#group = ProcessGroup.spawn(command, {
      env: { ...childEnvironment(), ...environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { child } = this.#group;
    let rest = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) onNote(JSON.parse(line));
    });
    // A write to a process that has died fails; `ended` reports the end.
    child.stdin!.on("error", () => {});
    this.ended = new Promise((resolve) => {
      child.once("exit", (status, signal) => resolve(status ?? signal));
      child.once("error", (error) => resolve(error.message));
    });
  }

  /** Tells the process to finish. */
  finish(): void {
    this.#group.child.stdin!.write("\n");
  }

  /** Ends the process at once. */
  kill(): void {
    this.#group.signal("SIGKILL");
  }
}
