import type { Connection, ConnectionHandler, Runtime } from "../../../runtime/types.ts";
import { END } from "./wires.ts";

const decoder = new TextDecoder("latin1");

/** One connection of the client's: it sends what it's given, and counts the ends of messages. */
export class Peer implements ConnectionHandler {
  /** Called for what arrives until it's taken off; then messages are counted. */
  onText: ((text: string) => void) | undefined;
  readonly #connection: Connection;
  readonly #onMessages: (count: number) => void;
  readonly #onLost: () => void;
  #queue: Uint8Array[] = [];
  #isWriting = false;
  #isLeaving = false;

  private constructor(
    connection: Connection,
    onMessages: (count: number) => void,
    onLost: () => void,
  ) {
    this.#connection = connection;
    this.#onMessages = onMessages;
    this.#onLost = onLost;
  }

  /**
   * @param onMessages Gets how many messages ended in what has arrived.
   * @param onLost The server has closed the connection.
   */
  static async connect(
    runtime: Runtime,
    port: number,
    onMessages: (count: number) => void,
    onLost: () => void,
  ): Promise<Peer> {
    let peer: Peer | undefined;
    await runtime.connect({ transport: "tcp", hostname: "127.0.0.1", port }, (connection) => {
      return peer = new Peer(connection, onMessages, onLost);
    });
    return peer as Peer;
  }

  /** Sends bytes behind all that waits. They must not be written to any more. */
  send(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    if (!this.#isWriting) this.#write();
  }

  /** Sends bytes, and resolves when what comes from then on satisfies a condition. */
  ask(bytes: Uint8Array, isAnswered: (said: string) => boolean): Promise<void> {
    let said = "";
    return new Promise((resolve) => {
      this.onText = (text) => {
        said += text;
        if (!isAnswered(said)) return;
        this.onText = undefined;
        resolve();
      };
      this.send(bytes);
    });
  }

  leave(): void {
    this.#isLeaving = true;
    this.#connection.close();
  }

  #write(): void {
    for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
      this.#isWriting = !this.#connection.write(bytes);
      if (this.#isWriting) return;
    }
  }

  onData(chunk: Uint8Array): void {
    if (this.onText !== undefined) return this.onText(decoder.decode(chunk));
    let count = 0;
    for (let at = chunk.indexOf(END); at !== -1; at = chunk.indexOf(END, at + 1)) count++;
    if (count > 0) this.#onMessages(count);
  }

  onDrain(): void {
    this.#isWriting = false;
    this.#write();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    if (!this.#isLeaving) this.#onLost();
  }
}
