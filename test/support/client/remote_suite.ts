import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import process from "node:process";
import { PROJECT_ROOT } from "../../../cli/program.ts";
import type { Bed, Door } from "./bed.ts";

/** The suite as a program, which is told what to run, and asks for the bed. */
export class RemoteSuite {
  readonly #child: ChildProcess;
  #onResult: (failure: string | null) => void = () => {};
  #errors = "";

  /**
   * @param command The words that run `test/client/suite/node_main.ts`.
   * @param environment Further variables.
   */
  constructor(bed: Bed, command: readonly string[], environment: Record<string, string> = {}) {
    const [program, ...args] = command;
    this.#child = spawn(program!, args, {
      cwd: PROJECT_ROOT,
      env: { ...process.env, NO_COLOR: "1", ...environment },
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    this.#child.on("close", () => this.#onResult(`${program} has ended: ${this.#errors}`));
    createInterface({ input: this.#child.stdout! }).on("line", async (line) => {
      const { id, method, args, failure } = JSON.parse(line);
      if (id === undefined) return this.#onResult(failure);
      const answer = await (bed[method as keyof Bed] as (...args: unknown[]) => Promise<unknown>)
        .apply(bed, args).then((value) => ({ value }), (error) => ({ error: String(error) }));
      this.#say({ id, answer });
    });
  }

  async run(name: string, door: Door): Promise<void> {
    const failure = await new Promise<string | null>((resolve) => {
      this.#onResult = resolve;
      this.#say({ name, door });
    });
    if (failure !== null) throw new Error(failure);
  }

  #say(line: object): void {
    this.#child.stdin!.write(`${JSON.stringify(line)}\n`);
  }

  async dispose(): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#onResult = () => {};
    this.#child.kill("SIGKILL");
    await closed;
  }
}
