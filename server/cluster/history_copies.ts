import type { Origin } from "../history/origins.ts";
import { type CopyingHost, HistoryExport, HistoryImport } from "./history_copy.ts";
import { RECORD, WANT } from "./link_frames.ts";
import type { OutgoingLink } from "./outgoing_link.ts";

/** The parts of a process that {@linkcode HistoryCopies} use. */
export interface HistoryCopiesHost extends CopyingHost {
  /** Timestamps by this process's clock, in microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
}

/** The copy of the history that this process gets when it joins others, and those that it gives to such ones. */
export class HistoryCopies {
  readonly #host: HistoryCopiesHost;
  /** By the path of each reader's socket. */
  readonly #exports = new Map<string, HistoryExport>();
  #import: HistoryImport | undefined;

  constructor(host: HistoryCopiesHost) {
    this.#host = host;
  }

  /**
   * Gets the history of the process at the other end of a link. Resolves when all is here.
   *
   * @param wanted For each origin that this process hears itself, up to which timestamp it needs a copy.
   * @throws {Error} (rejects) if that process ends before it has sent everything.
   */
  async get(link: OutgoingLink, wanted: readonly (readonly [string, number])[]): Promise<void> {
    const history = this.#import = new HistoryImport(this.#host);
    link.gone.then(() => history.fail(new Error("the process that sends its history has ended")));
    const payload = new TextEncoder().encode(JSON.stringify(wanted));
    link.sendControl(WANT, this.#host.nowMicros(), payload);
    await history.done;
  }

  /** Takes the next record of the copy that this process gets. It is copied. */
  take(record: Uint8Array): void {
    this.#import?.take(record);
  }

  /**
   * Begins to give a copy to the process at the other end of a link.
   *
   * @param path The path of its socket.
   * @param payload What it wants, as {@linkcode get} sends it.
   * @param reader That process; `undefined` if it hasn't said which origin it is.
   */
  give(path: string, link: OutgoingLink, payload: Uint8Array, reader: Origin | undefined): void {
    const wanted: [string, number][] = JSON.parse(new TextDecoder().decode(payload));
    const { nowMicros } = this.#host;
    const copy = new HistoryExport(
      this.#host,
      {
        get pendingBytes() {
          return link.pendingBytes;
        },
        sendRecord: (record) => link.sendControl(RECORD, nowMicros(), record),
      },
      new Map(wanted),
      reader,
    );
    this.#exports.set(path, copy);
    copy.pump();
  }

  /** Sends as much as the links take. To be called when one has taken some, or when something was heard. */
  pump(): void {
    for (const [path, copy] of this.#exports) {
      copy.pump();
      if (copy.isDone) this.#exports.delete(path);
    }
  }

  /** Gives a process no more, since its link has ended. */
  drop(path: string): void {
    this.#exports.delete(path);
  }
}
