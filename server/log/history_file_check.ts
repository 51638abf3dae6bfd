import { tryHistoryFile } from "../history/history_file.ts";
import { logHistoryFile } from "./log.ts";

/** Tries at the start whether a graceful stop can write the file, and logs if it can't. */
export function checkHistoryFile(path: string): void {
  try {
    tryHistoryFile(path);
  } catch (error) {
    logHistoryFile(path, "tried", error as Error);
  }
}
