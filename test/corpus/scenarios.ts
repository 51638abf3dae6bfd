/**
 * What clients did to sessions that once went wrong, or easily could. Each is played on every run.
 *
 * @module
 */

import type { Scenario } from "../fuzz/scenario.ts";

/** A scenario, and why it's kept. */
export type KeptScenario = Scenario & { readonly why: string };

const subscribe = (topic: string) => `{"action":"subscribe","data":"${topic}"}\0`;
const unsubscribe = (topic: string) => `{"action":"unsubscribe","data":"${topic}"}\0`;
const publish = (topic: string, n: number) => `PUBLISH\0{"topic":"${topic}","data":${n}}\0`;
const ask = (topic: string, n: number) =>
  `{"action":"publish","data":{"topic":"${topic}","data":${n}}}\0`;

const ROOMY = 65_536;

export const SCENARIOS: readonly KeptScenario[] = [
  {
    why: "in one segment: a message, an unsubscribe, and one more message",
    streams: [
      subscribe("a") + publish("a", 1) + unsubscribe("a") + publish("a", 2) + subscribe("a") +
      publish("a", 3),
    ],
    bufferBytes: [ROOMY],
    answers: "at once",
    writesPerTurn: 1,
    steps: [],
  },
  {
    why: "a subscriber leaves in the middle of a pass",
    streams: [subscribe("a"), subscribe("a") + unsubscribe("a"), publish("a", 1) + publish("a", 2)],
    bufferBytes: [1, 40, ROOMY],
    answers: "late",
    writesPerTurn: 1,
    steps: [
      { client: 0, does: "send", bytes: 99 },
      { client: 1, does: "send", bytes: subscribe("a").length },
      { client: 1, does: "wait", turns: 3 },
      { client: 2, does: "send", bytes: 99 },
      { client: 2, does: "wait", turns: 1 },
      { client: 1, does: "send", bytes: 99 },
    ],
  },
  {
    why: "a publisher's error comes behind what is due to itself, and to a stalled reader",
    streams: [subscribe("a") + publish("a", 1) + "nonsense\0" + publish("a", 2), subscribe("a")],
    bufferBytes: [40, 1],
    answers: "at once",
    writesPerTurn: 2,
    steps: [
      { client: 1, does: "send", bytes: 99 },
      { client: 1, does: "wait", turns: 2 },
      { client: 1, does: "stall" },
    ],
  },
  {
    why: "the publisher of 2009 resets behind its message",
    streams: [subscribe("a"), '<regular-socket/>\0PUBLISH\0{"topic":"a"}'],
    bufferBytes: [ROOMY, ROOMY],
    answers: "late",
    writesPerTurn: 16,
    steps: [
      { client: 0, does: "send", bytes: 99 },
      { client: 0, does: "wait", turns: 2 },
      { client: 1, does: "send", bytes: 99 },
      { client: 1, does: "reset" },
    ],
  },
  {
    why: "receipts of two topics, one of which a stalled subscriber holds up",
    streams: [ask("a", 1) + ask("b", 2) + ask("none", 3), subscribe("a"), subscribe("b")],
    bufferBytes: [ROOMY, 1, ROOMY],
    answers: "at once",
    writesPerTurn: 1,
    steps: [
      { client: 1, does: "send", bytes: 99 },
      { client: 2, does: "send", bytes: 99 },
      { client: 1, does: "wait", turns: 2 },
      { client: 1, does: "stall" },
    ],
  },
  {
    why: "half-close right behind a subscribe and a message for oneself",
    streams: [subscribe("a") + publish("a", 1), subscribe("a")],
    bufferBytes: [1, 1],
    answers: "late",
    writesPerTurn: 1,
    steps: [
      { client: 0, does: "send", bytes: 999 },
      { client: 0, does: "end" },
    ],
  },
  {
    why: "one topic more than all clients together may have, spelled in two ways",
    streams: [
      subscribe("a") + subscribe("b") + subscribe("c"),
      subscribe("\\u0061") + subscribe("d") + subscribe("e"),
      subscribe("e") + subscribe("f"),
    ],
    bufferBytes: [ROOMY, ROOMY, ROOMY],
    answers: "at once",
    writesPerTurn: 16,
    steps: [],
  },
];
