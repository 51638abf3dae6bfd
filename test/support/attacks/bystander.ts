import { assertEquals } from "@std/assert";
import {
  type ClientOptions,
  JanusClient,
  publish,
  type Target,
  unstamp,
} from "../clients/janus_client.ts";
import { until } from "../until.ts";

/** Milliseconds between two messages of a bystander. */
const INTERVAL_MS = 10;

/**
 * A publisher and a subscriber that behave while others attack. They talk from their arrival on, and
 * each message must come, once and in order.
 */
export class Bystander {
  readonly #topic: string;
  readonly #subscriber: JanusClient;
  readonly #publisher: JanusClient;
  #sent = 0;
  #received = 0;
  #failure: Error | undefined;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(topic: string, subscriber: JanusClient, publisher: JanusClient) {
    this.#topic = topic;
    this.#subscriber = subscriber;
    this.#publisher = publisher;
    this.#timer = setInterval(() => {
      this.#say();
      this.#hear();
    }, INTERVAL_MS);
  }

  static async arrive(target: Target, topic: string, options?: ClientOptions): Promise<Bystander> {
    const subscriber = await JanusClient.greeted(target, options);
    await subscriber.subscribe(topic);
    return new Bystander(topic, subscriber, await JanusClient.greeted(target, options));
  }

  /** Fails unless all messages so far came, and some that are sent now come too. */
  async confirm(): Promise<void> {
    const goal = this.#sent + 20;
    await until(
      "the bystanders have had their messages",
      () => this.#received >= goal || this.#failure !== undefined,
      60_000,
    );
    if (this.#failure !== undefined) throw this.#failure;
  }

  async leave(): Promise<void> {
    clearInterval(this.#timer);
    await this.#subscriber.dispose();
    await this.#publisher.dispose();
  }

  #say(): void {
    this.#publisher.send(publish(`{"topic":"${this.#topic}","by":"stander","n":${this.#sent++}}`));
  }

  #hear(): void {
    try {
      for (const frame of this.#subscriber.frames.splice(0)) this.#take(frame);
      assertEquals([this.#subscriber.ended, this.#publisher.ended], [null, null]);
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  #take(frame: string): void {
    if (frame === "PING") return this.#subscriber.send("PONG\0");
    const { rest } = unstamp(frame);
    // Where the attack is on the same topic, its messages come in between.
    if (!rest.includes('"by":"stander"')) return;
    const next = this.#received++;
    assertEquals(rest, `{"timestamp":TS,"topic":"${this.#topic}","by":"stander","n":${next}}`);
  }
}
