import { setTimeout } from "node:timers";
import { ProtocolError } from "../../protocol/errors.ts";
import type { Runtime } from "../../runtime/types.ts";
import { WaitingRoom } from "../flow/gate.ts";

/** The action that a hook is asked about. */
export type TopicAction = "publish" | "subscribe";

/** A client's wish to publish or subscribe to a topic. */
export interface TopicRequest {
  /** The topic's name. */
  readonly topic: string;
  /** The client's IP address. */
  readonly address: string;
  /** The client's port. */
  readonly port: number;
  /** The right keys that the client has shown, in its order; a server that wants no keys takes any. */
  readonly keys: readonly string[];
}

/**
 * The host program's say about which client may publish and subscribe to which topic, beside the access
 * rules. Only `true` allows it; the client is told `forbidden` otherwise, and closed.
 *
 * A hook is asked once for each client and topic, before the client's first message to the topic or before
 * it is subscribed. While it decides, the client isn't read further, and others are. A hook that fails, or
 * hasn't decided after 10 s, has refused.
 */
export interface TopicHooks {
  /** Decides whether a client may publish to a topic. Every client may unless given. */
  publish?(request: TopicRequest): boolean | Promise<boolean>;
  /** Decides whether a client may subscribe to a topic. Every client may unless given. */
  subscribe?(request: TopicRequest): boolean | Promise<boolean>;
}

/** The part of a client's session that permits use. */
export interface PermitClient {
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Milliseconds within which a hook must decide. */
const DECISION_MS = 10_000;

/** Decisions that are remembered for one client. The oldest is forgotten, and asked for again. */
const MAX_REMEMBERED = 256;

/** Keys that are remembered of one client: one for publishing, one for subscribing, and some to spare. */
const MAX_KEYS = 8;

/** A decision that a hook hasn't made yet. Clients wait there. */
export class PendingPermit extends WaitingRoom {
  readonly #onDecided: ((isAllowed: boolean) => void)[] = [];

  /** Calls `act` when the hook has decided, before clients that wait go on. */
  whenDecided(act: (isAllowed: boolean) => void): void {
    this.#onDecided.push(act);
  }

  /** Called once. */
  decide(isAllowed: boolean): void {
    for (const act of this.#onDecided) act(isAllowed);
    this.open();
  }
}

interface ClientState {
  readonly keys: string[];
  readonly decisions: Map<string, boolean | PendingPermit>;
}

/** Asks the host program's hooks, and remembers for each client what they decided. */
export class TopicPermits {
  readonly #runtime: Runtime;
  readonly #hooks: TopicHooks;
  readonly #onFailure: (action: TopicAction, error: unknown) => void;
  readonly #clients = new WeakMap<PermitClient, ClientState>();

  /** @param onFailure Receives what a hook has thrown. */
  constructor(
    runtime: Runtime,
    hooks: TopicHooks,
    onFailure: (action: TopicAction, error: unknown) => void,
  ) {
    this.#runtime = runtime;
    this.#hooks = hooks;
    this.#onFailure = onFailure;
  }

  /** Notes that a client has shown a right key. */
  noteKey(client: PermitClient, key: string): void {
    const { keys } = this.#stateOf(client);
    if (!keys.includes(key)) keys.push(key);
    if (keys.length > MAX_KEYS) keys.shift();
  }

  /**
   * Looks whether a client may do something with a topic.
   *
   * @returns `undefined` if it may, or the place to wait at before the next call.
   * @throws {ProtocolError} `forbidden`, if it may not.
   */
  look(client: PermitClient, action: TopicAction, topic: string): PendingPermit | undefined {
    const hook = this.#hooks[action];
    if (hook === undefined) return undefined;
    const { keys, decisions } = this.#stateOf(client);
    const id = `${action} ${topic}`;
    const decision = decisions.get(id) ?? this.#ask(action, {
      topic,
      address: client.remoteAddress,
      port: client.remotePort,
      keys: [...keys],
    }, (isAllowed) => decisions.set(id, isAllowed));
    if (!decisions.has(id)) remember(decisions, id, decision);
    if (decision === true) return undefined;
    if (decision !== false) return decision;
    throw new ProtocolError("forbidden", `This client may not ${action} to this topic`);
  }

  #ask(
    action: TopicAction,
    request: TopicRequest,
    remember: (isAllowed: boolean) => void,
  ): boolean | PendingPermit {
    let verdict: unknown;
    try {
      verdict = this.#hooks[action]?.(request);
    } catch (error) {
      this.#onFailure(action, error);
      return false;
    }
    if (!(verdict instanceof Promise)) return verdict === true;
    const pending = new PendingPermit(this.#runtime);
    const decide = (isAllowed: boolean) => {
      clearTimeout(deadline);
      if (isDecided) return;
      isDecided = true;
      remember(isAllowed);
      pending.decide(isAllowed);
    };
    let isDecided = false;
    const deadline = setTimeout(() => {
      this.#onFailure(action, new Error(`no decision within ${DECISION_MS / 1000} s`));
      decide(false);
    }, DECISION_MS);
    // A program that has closed its server need not wait for it.
    deadline.unref();
    verdict.then((answer: unknown) => decide(answer === true), (error: unknown) => {
      if (!isDecided) this.#onFailure(action, error);
      decide(false);
    });
    return pending;
  }

  #stateOf(client: PermitClient): ClientState {
    let state = this.#clients.get(client);
    if (state === undefined) {
      state = { keys: [], decisions: new Map() };
      this.#clients.set(client, state);
    }
    return state;
  }
}

function remember(
  decisions: Map<string, boolean | PendingPermit>,
  id: string,
  decision: boolean | PendingPermit,
): void {
  decisions.set(id, decision);
  if (decisions.size <= MAX_REMEMBERED) return;
  for (const [oldest, one] of decisions) {
    if (one instanceof PendingPermit) continue;
    decisions.delete(oldest);
    return;
  }
}
