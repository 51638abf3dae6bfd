/**
 * Whose connections a server's process holds, asked of the system. Linux only.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { runTool } from "../../harness/run_tool.ts";

const SCRIPT = fileURLToPath(import.meta.resolve("./peers.sh"));

/**
 * The clients' ports of a process's connections on `port`.
 *
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function peersOf(pid: number, port: number): Promise<number[]> {
  const said = await runTool("sh", SCRIPT, String(pid), String(port));
  return said.split("\n").filter((line) => line !== "").map(Number);
}
