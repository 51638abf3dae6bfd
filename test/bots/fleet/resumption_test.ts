import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Resumption } from "../../../bots/fleet/resumption.ts";
import { NumberedMessage } from "../../../bots/dialects/published_message.ts";

const PLAN = { topic: "events", data: "test", rounds: 5 };
const [HERE, THERE] = ["00000000000000aa", "00000000000000bb"];
const BASE = 1_795_435_717_000_000;

function frame(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\x01`);
}

function stamp(micros: number): string {
  return `[${Math.floor(micros / 1e12)},${Math.floor(micros / 1e6) % 1e6},${micros % 1e6}]`;
}

/** What a server says to one bot after the other; bots are counted from 0. */
class Script {
  readonly resumption = new Resumption(3, PLAN);
  readonly #message = new NumberedMessage(PLAN);

  /** Subscribes, and is answered. @returns What the bot said. */
  answer(bot: number, answer: object): string {
    const said = new TextDecoder().decode(this.resumption.subscribe(bot));
    const resume = { topic: "events", recovered: false, reason: "new", missed: 0, ...answer };
    this.#take(bot, `{"timestamp":${stamp(BASE)},"resume":${JSON.stringify(resume)}}`);
    assertEquals(this.resumption.take(bot, frame("ACK")), false);
    this.resumption.onSubscribed(bot);
    return said;
  }

  from(bot: number, origin: string): void {
    const from = `{"topic":"events","origin":"${origin}"}`;
    this.#take(bot, `{"timestamp":${stamp(BASE)},"from":${from}}`);
  }

  message(bot: number, number: number, text = this.#message.text(number)): void {
    this.#take(bot, `{"timestamp":${stamp(BASE + number)},${text.slice(1)}`);
  }

  #take(bot: number, text: string): void {
    assertEquals(this.resumption.take(bot, frame(text)), true, text);
  }
}

/** All bots have had message 0, and are cut. */
function afterCut(): Script {
  const script = new Script();
  for (const bot of [0, 1, 2]) {
    const said = script.answer(bot, { at: { [HERE]: BASE - 7, [THERE]: BASE - 9 } });
    assertEquals(said, '{"action":"subscribe","data":"events","resume":{}}\0');
    script.from(bot, HERE);
    script.message(bot, 0);
  }
  return script;
}

const OK = { recovered: true, reason: "ok", at: { [HERE]: BASE, [THERE]: BASE - 9 } };
const ALL = Uint8Array.of(1, 1, 1);

describe("bots that come back with their positions", () => {
  it("say where they were, and are level with the last message that they missed", () => {
    const script = afterCut();
    const { resumption } = script;
    for (const bot of [0, 1, 2]) {
      const said = script.answer(bot, { ...OK, missed: 2 });
      const at = { [HERE]: BASE, [THERE]: BASE - 9 };
      assertEquals(
        said,
        `${JSON.stringify({ action: "subscribe", data: "events", resume: { at } })}\0`,
      );
      assert(resumption.isBehind(bot));
      script.from(bot, THERE);
      script.message(bot, 1);
      assert(resumption.isBehind(bot));
      script.from(bot, HERE);
      script.message(bot, 2);
      assert(!resumption.isBehind(bot));
      script.message(bot, 3);
    }
    const result = resumption.end(ALL);
    assert(result.lastLevelAtMs > 0);
    assertEquals({ ...result, lastLevelAtMs: 0 }, {
      reasons: { ok: 3 },
      crashed: 0,
      missed: [2, 2, 2],
      lastLevelAtMs: 0,
      behind: 0,
      whole: 3,
      had: [3, 3, 3, 3, 0],
      seen: [0, 1, 2, 3],
      duplicates: 0,
      wrong: 0,
    });
    // Both origins are in its position now.
    const said = script.answer(0, { ...OK });
    assert(said.includes(`"${THERE}":${BASE + 1}`) && said.includes(`"${HERE}":${BASE + 3}`), said);
  });

  it("lack what a server skips, and notice what comes twice", () => {
    const script = afterCut();
    for (const bot of [0, 1, 2]) {
      script.answer(bot, { ...OK, missed: 2 });
      script.from(bot, HERE);
    }
    for (const number of [1, 2]) script.message(0, number);
    for (const number of [1, 1, 2]) script.message(1, number);
    script.message(2, 2);
    const { had, whole, behind, duplicates } = script.resumption.end(ALL);
    assertEquals([had, whole, behind, duplicates], [[3, 2, 3, 0, 0], 3, 1, 1]);
  });

  it("notice what isn't as it was published, or isn't in order", () => {
    const script = afterCut();
    script.answer(0, { ...OK, missed: 2 });
    script.from(0, HERE);
    script.message(0, 2);
    script.message(0, 1);
    script.message(0, 3, '{"topic":"events","message_id":"3","data":"text"}');
    script.message(0, 7);
    assertEquals(script.resumption.end(ALL).wrong, 3);
  });

  it("demand nothing of a server that says that something is lost", () => {
    const script = afterCut();
    script.answer(0, { ...OK, recovered: false, reason: "too_old" });
    script.answer(1, { ...OK, missed: 1, crashed: [THERE] });
    script.from(1, HERE);
    script.message(1, 4);
    script.resumption.subscribe(2);
    // It knows no resume.
    script.resumption.onSubscribed(2);
    script.resumption.subscribe(2);
    script.resumption.onSubscribed(2);
    const { reasons, crashed, whole, seen, had } = script.resumption.end(ALL);
    assertEquals(reasons, { too_old: 1, ok: 1, unsupported: 1 });
    assertEquals([crashed, whole, seen, had], [1, 0, [0, 4], [0, 0, 0, 0, 0]]);
  });
});
