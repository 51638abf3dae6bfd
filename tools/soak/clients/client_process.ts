import { fileURLToPath } from "node:url";
import { ProcessGroup } from "../../../cli/process_group.ts";
import { childEnvironment, findProgram, type RuntimeName } from "../../../cli/program.ts";

/**
 * Clients in a process of their own, so that they don't delay what others do or measure: a script that
 * gets an order as JSON, tells notes as JSON, one a line, and is told when to come to an end.
 */
export class ClientProcess {
  /** Its exit status or signal, when it has ended. */
  readonly ended: Promise<number | string | null>;
  readonly #group: ProcessGroup;

  /**
   * @param script Its module's address.
   * @param order What it gets.
   * @param onNote Gets what it tells.
   */
  constructor(
    runtime: RuntimeName,
    script: string,
    order: object,
    onNote: (note: unknown) => void,
  ) {
    const { path } = findProgram(runtime);
    const run = runtime === "deno" ? ["run", "--quiet", "--no-prompt", "--allow-net"] : ["run"];
    const command = [path, ...run, fileURLToPath(script), JSON.stringify(order)];
    this.#group = ProcessGroup.spawn(command, {
      env: childEnvironment(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { child } = this.#group;
    let rest = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) onNote(JSON.parse(line));
    });
    // Whether it's still there is told by its end.
    child.stdin!.on("error", () => {});
    this.ended = new Promise((resolve) => {
      child.once("exit", (status, signal) => resolve(status ?? signal));
      child.once("error", (error) => resolve(error.message));
    });
  }

  /** Tells it to come to an end. */
  conclude(): void {
    this.#group.child.stdin!.write("\n");
  }

  /** Ends it at once. */
  kill(): void {
    this.#group.signal("SIGKILL");
  }
}
