import { joinBytes } from "../../protocol/framing/join_bytes.ts";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import {
  type Accept,
  type Connection,
  type ConnectionHandler,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Runtime,
  type TlsIdentity,
  type TransportEnd,
  TransportError,
} from "../../runtime/types.ts";

/** Bytes of the random number that each side sends, and that the other can't know beforehand. */
const NONCE_BYTES = 32;
const PROOF_BYTES = 32;

/** Milliseconds that the other side has to prove that it knows the secret. */
const PROOF_DEADLINE_MS = 5_000;

/** Connections that may be unproven at once; with one more, the oldest is closed. */
const MAX_UNPROVEN = 128;

/**
 * A runtime whose Unix sockets link only processes that know a secret. All else is done by another runtime.
 *
 * The workers' sockets have names that are no files, so they need no directory that could be missing, full,
 * or swept away. But every user of the machine may connect to such a name, and take it when its owner has
 * died. So both sides first prove that they know the secret, without sending it. A proof is bound to one
 * socket's name, so that it can't be passed on to another worker.
 */
export class ProvenSockets implements Runtime {
  readonly #runtime: Runtime;
  readonly #secret: string;
  readonly #unproven = new Set<Handshake>();

  constructor(runtime: Runtime, secret: string) {
    this.#runtime = runtime;
    this.#secret = secret;
  }

  get name(): Runtime["name"] {
    return this.#runtime.name;
  }

  get version(): string {
    return this.#runtime.version;
  }

  get writesPerTurn(): number {
    return this.#runtime.writesPerTurn;
  }

  get residentBytes(): number {
    return this.#runtime.residentBytes;
  }

  giveBack(): void {
    this.#runtime.giveBack();
  }

  soon(task: () => void): void {
    this.#runtime.soon(task);
  }

  nextTurn(task: () => void): void {
    this.#runtime.nextTurn(task);
  }

  afterTurn(isBusy: () => boolean, task: () => void): void {
    this.#runtime.afterTurn(isBusy, task);
  }

  tryIdentity(identity: TlsIdentity, what: string): Promise<void> {
    return this.#runtime.tryIdentity(identity, what);
  }

  listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    if (options.transport !== "unix") return this.#runtime.listen(options, accept);
    const { path } = options;
    return this.#runtime.listen(options, (connection) => {
      const handshake: Handshake = new Handshake(
        connection,
        (send) => answered(send, this.#secret, path),
        accept,
        () => this.#unproven.delete(handshake),
      );
      this.#unproven.add(handshake);
      if (this.#unproven.size > MAX_UNPROVEN) {
        const [oldest] = this.#unproven;
        oldest!.giveUp();
      }
      return handshake;
    });
  }

  async connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    if (options.transport !== "unix") return await this.#runtime.connect(options, accept);
    const { path } = options;
    return await new Promise<Connection>((resolve, reject) => {
      this.#runtime.connect(options, (connection) => {
        return new Handshake(
          connection,
          (send) => dialled(send, this.#secret, path),
          accept,
          (isProven) => {
            if (isProven) return resolve(connection);
            const message = `cannot connect to ${
              JSON.stringify(path)
            }: the process that listens hasn't proven that it is a worker`;
            reject(new TransportError("handshake_failed", message));
          },
        );
      }).catch(reject);
    });
  }
}

/** Yields the number of bytes that it needs from the other side, and returns whether they are a proof. */
type Exchange = Generator<number, boolean, Uint8Array>;

type Send = (bytes: Uint8Array) => void;

/** The exchange of the side that dialled. */
function* dialled(send: Send, secret: string, path: string): Exchange {
  const ours = randomBytes(NONCE_BYTES);
  send(ours);
  const answer = yield NONCE_BYTES + PROOF_BYTES;
  const theirs = answer.subarray(0, NONCE_BYTES);
  const proof = answer.subarray(NONCE_BYTES);
  if (!timingSafeEqual(proof, proofOf(secret, `listener ${path}`, ours, theirs))) return false;
  send(proofOf(secret, `dialler ${path}`, ours, theirs));
  return true;
}

/** The exchange of the side that listens. */
function* answered(send: Send, secret: string, path: string): Exchange {
  const theirs = yield NONCE_BYTES;
  const ours = randomBytes(NONCE_BYTES);
  send(ours);
  send(proofOf(secret, `listener ${path}`, theirs, ours));
  const proof = yield PROOF_BYTES;
  return timingSafeEqual(proof, proofOf(secret, `dialler ${path}`, theirs, ours));
}

function proofOf(secret: string, role: string, ...nonces: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac("sha256", secret).update(role);
  for (const nonce of nonces) hmac.update(nonce);
  return hmac.digest();
}

/** Owns a connection until both sides have proved that they know the secret. */
class Handshake implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #exchange: Exchange;
  readonly #accept: Accept;
  readonly #onOver: (isProven: boolean) => void;
  readonly #deadline: ReturnType<typeof setTimeout>;
  #owner: ConnectionHandler | undefined;
  /** Bytes that have come and aren't used yet. */
  #arrived = new Uint8Array(0);
  /** Bytes that have to be sent. */
  #unsent: Uint8Array[] = [];
  #isSending = false;
  #wantedBytes = 0;
  #isProven = false;
  #isPaused = false;

  /** @param onOver Called once; true if the other side is proven, and the connection has its owner. */
  constructor(
    connection: Connection,
    begin: (send: Send) => Exchange,
    accept: Accept,
    onOver: (isProven: boolean) => void,
  ) {
    this.#connection = connection;
    this.#accept = accept;
    this.#onOver = onOver;
    this.#deadline = setTimeout(() => this.giveUp(), PROOF_DEADLINE_MS);
    this.#exchange = begin((bytes) => this.#unsent.push(bytes));
    this.#advance(this.#exchange.next());
  }

  giveUp(): void {
    this.#connection.destroy();
  }

  onData(chunk: Uint8Array): void {
    if (this.#owner !== undefined) return this.#owner.onData(chunk);
    this.#arrived = joinBytes(this.#arrived, chunk);
    while (!this.#isProven && this.#arrived.length >= this.#wantedBytes) {
      const bytes = this.#arrived.subarray(0, this.#wantedBytes);
      this.#arrived = this.#arrived.subarray(this.#wantedBytes);
      if (!this.#advance(this.#exchange.next(bytes))) return;
    }
  }

  onHeld(): void {
    this.#owner?.onHeld?.();
  }

  onDrain(): void {
    if (this.#owner !== undefined) return this.#owner.onDrain();
    this.#isSending = false;
    this.#send();
  }

  onEnd(): void {
    if (this.#owner === undefined) this.giveUp();
    else this.#owner.onEnd();
  }

  onClose(why: TransportEnd, cause?: Error): void {
    if (this.#owner !== undefined) return this.#owner.onClose(why, cause);
    clearTimeout(this.#deadline);
    this.#onOver(false);
  }

  /** @returns False if the exchange has failed. */
  #advance({ done, value }: IteratorResult<number, boolean>): boolean {
    if (done === true && value === false) {
      this.giveUp();
      return false;
    }
    if (done === true) this.#isProven = true;
    else this.#wantedBytes = value as number;
    this.#send();
    return true;
  }

  #send(): void {
    while (!this.#isSending && this.#unsent.length > 0) {
      this.#isSending = !this.#connection.write(this.#unsent.shift() as Uint8Array);
    }
    if (!this.#isProven) return;
    if (!this.#isSending) this.#handOver();
    else if (!this.#isPaused) {
      // There is no owner yet to take further bytes.
      this.#isPaused = true;
      this.#connection.pauseReading();
    }
  }

  #handOver(): void {
    clearTimeout(this.#deadline);
    this.#owner = this.#accept(this.#connection);
    if (this.#isPaused) this.#connection.resumeReading();
    if (this.#arrived.length > 0) this.#owner.onData(this.#arrived);
    this.#arrived = new Uint8Array(0);
    this.#onOver(true);
  }
}
