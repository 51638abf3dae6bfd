import { EnvironmentError } from "../../cli/command_line.ts";
import type { ProcessGroup } from "../../cli/process_group.ts";

/** Milliseconds that a process has to start, on a busy machine, with the history of another one to copy. */
const START_PATIENCE_MS = 45_000;

/**
 * Waits until a process says that it listens. If it doesn't, it is ended with its group.
 *
 * @param group Its standard output must be a pipe. If standard error is one too, it is read, and quoted if the
 * process doesn't start.
 * @param what The process's name in errors, such as `the server on deno`.
 * @param find Finds the line in the standard output so far; `undefined` if it isn't there yet.
 * @throws {EnvironmentError} (rejects) if it doesn't start.
 */
export function started<Line>(
  group: ProcessGroup,
  what: string,
  find: (said: string) => Line | undefined,
): Promise<Line> {
  const { child } = group;
  return new Promise((resolve, reject) => {
    let isStarted = false;
    let said = "";
    let complaint = "";
    const fail = (how: string) => {
      if (isStarted) return;
      clearTimeout(timer);
      group.signal("SIGKILL");
      reject(new EnvironmentError(`${what} did not start: ${how}`));
    };
    const timer = setTimeout(
      () => fail(`it didn't say that it listens within ${START_PATIENCE_MS / 1000} s`),
      START_PATIENCE_MS,
    );
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      if (isStarted) return;
      said += text;
      const line = find(said);
      if (line === undefined) return;
      isStarted = true;
      clearTimeout(timer);
      resolve(line);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (!isStarted) complaint += text;
    });
    child.once("error", (error) => fail(error.message));
    child.once(
      "close",
      (status, signal) => fail(complaint.trim() || `it ended with ${status ?? signal}`),
    );
  });
}
