import { assert, assertGreater } from "@std/assert";
import { type Machine, type MachineSettings, Street } from "./street.ts";

/** The timestamps of one machine's messages that another one was given. */
export function gotOf(reader: Machine, writer: Machine): number[] {
  return reader.delivered.filter(({ origin }) => origin === writer.origin)
    .map(({ micros }) => micros);
}

/** Checks that a machine has each message of another, once and in order, or was told that it is lost. */
export function assertNothingSilent(reader: Machine, writer: Machine): void {
  const got = gotOf(reader, writer);
  for (let i = 1; i < got.length; i++) assertGreater(got[i]!, got[i - 1]!, "order, and each once");
  const has = new Set(got);
  const holes = reader.holes.filter(({ origin }) => origin === writer.origin);
  for (const micros of writer.published) {
    const isLost = holes.some(({ after, to }) => after < micros && micros <= to);
    assert(has.has(micros) || isLost, `${micros} is missing, and not declared to be lost`);
  }
}

/** Two machines that know each other. */
export function pair(settings?: MachineSettings) {
  const street = new Street();
  const [a, b] = [street.add("a", settings), street.add("b")];
  street.pass(100);
  return { street, a, b };
}

/** The same, where the second has the first one's second message and lacks the first: what it asks for isn't heard. */
export function pairWithGap() {
  const { street, a, b } = pair();
  street.lose(() => a.publish(1));
  street.fate = (from) => from === b.name ? [] : [0];
  a.publish(2);
  return { street, a, b };
}
