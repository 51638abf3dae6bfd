import { logJoined } from "../cluster_setup.ts";
import { type SavedHistory, takeHistoryFile, writeHistoryFile } from "../history/history_file.ts";
import { checkHistoryFile } from "../log/history_file_check.ts";
import { logHistoryFile } from "../log/log.ts";
import type { UplinkHolder } from "../machines/nats/uplink_holder.ts";
import { nextPiece, recordsOf } from "./history_pieces.ts";
import type { WorkerProcess } from "./worker_process.ts";

/**
 * Gives the first worker of a server its history, from another machine or from a file of an earlier run, and
 * saves the last worker's in that file. Workers between these copy it from each other.
 */
export class HistoryKeeper {
  readonly #path: string | null;
  readonly #uplinkHolder: UplinkHolder<WorkerProcess> | undefined;
  /** True once what an earlier run has left is with a worker: only then may the file be written anew. */
  #hasRestored = false;

  /**
   * @param path The file in which stored messages outlast a graceful stop; `null` for none.
   * @param uplinkHolder Lets a worker copy another machine's history; `undefined` without other machines.
   */
  constructor(path: string | null, uplinkHolder: UplinkHolder<WorkerProcess> | undefined) {
    this.#path = path;
    this.#uplinkHolder = uplinkHolder;
  }

  /** True if a worker that ends as the last one should be asked for its history. */
  get shouldSave(): boolean {
    return this.#path !== null && this.#hasRestored;
  }

  /** Gives a worker without others the history of another machine, or what an earlier run has left. */
  async prepareFirst(worker: WorkerProcess): Promise<void> {
    const joined = await this.#uplinkHolder?.begin(worker);
    if (joined !== undefined) logJoined(joined);
    if (this.#hasRestored) return;
    this.#hasRestored = true;
    if (this.#path === null) return;
    checkHistoryFile(this.#path);
    if (joined?.what !== "copied") await restore(worker, this.#path);
  }

  /** Saves what a worker has stored, which has retired. A failure is logged. */
  async save(worker: WorkerProcess): Promise<void> {
    const path = this.#path as string;
    try {
      const records: Uint8Array[] = [];
      for (let hasMore = true; hasMore;) {
        const piece = await worker.savedPiece();
        if (piece !== null) records.push(...recordsOf(piece));
        hasMore = piece?.hasMore ?? false;
      }
      writeHistoryFile(path, records);
    } catch (error) {
      logHistoryFile(path, "written", error as Error);
    }
  }
}

async function restore(worker: WorkerProcess, path: string): Promise<void> {
  let saved: SavedHistory | undefined;
  try {
    saved = takeHistoryFile(path);
  } catch (error) {
    return logHistoryFile(path, "read", error as Error);
  }
  if (saved === undefined) return;
  const { ageMs } = saved;
  const records = saved.records.values();
  for (let hasMore = true; hasMore;) {
    const piece = nextPiece(records);
    await worker.order({ do: "restore_history", piece, ageMs });
    ({ hasMore } = piece);
  }
}
