import { renameSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a Unix socket and those who dial it, and cuts their connections. */
export class CuttingProxy {
  /** The number of connections that it has cut. */
  cuts = 0;
  readonly #server: Server;
  readonly #pairs = new Set<readonly Socket[]>();
  /** False to refuse all connections. */
  isOpen = true;

  private constructor(path: string, nextCut: () => number) {
    this.#server = createServer((near) => {
      if (!this.isOpen) return void near.destroy();
      const pair = [near, connect(path)] as const;
      this.#pairs.add(pair);
      const cut = { afterBytes: nextCut() };
      this.#carry(pair, 0, cut);
      this.#carry(pair, 1, cut);
      for (const socket of pair) {
        socket.on("error", () => {});
        socket.on("close", () => this.#drop(pair));
      }
    });
  }

  /**
   * Takes the place of a socket.
   *
   * @param nextCut The bytes that the next connection carries, both ways together, before it is cut.
   */
  static async inFrontOf(path: string, nextCut: () => number): Promise<CuttingProxy> {
    renameSync(path, `${path}.real`);
    const proxy = new CuttingProxy(`${path}.real`, nextCut);
    await new Promise<void>((resolve) => proxy.#server.listen(path, resolve));
    return proxy;
  }

  /** Cuts what there is now. */
  cut(): void {
    for (const pair of this.#pairs) {
      this.cuts++;
      this.#drop(pair);
    }
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) this.#drop(pair);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Passes on what one of both sends, up to the cut, which may come in the middle of a frame. */
  #carry(pair: readonly Socket[], from: number, cut: { afterBytes: number }): void {
    const [source, target] = [pair[from]!, pair[1 - from]!];
    source.on("data", (chunk: Uint8Array) => {
      if (!this.#pairs.has(pair)) return;
      const part = chunk.subarray(0, cut.afterBytes);
      cut.afterBytes -= part.length;
      const isTaken = target.write(part);
      if (part.length < chunk.length) {
        this.cuts++;
        target.end(() => this.#drop(pair));
      } else if (!isTaken) {
        source.pause();
        target.once("drain", () => source.resume());
      }
    });
  }

  #drop(pair: readonly Socket[]): void {
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}
