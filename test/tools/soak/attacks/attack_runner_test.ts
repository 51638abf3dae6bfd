import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { judgeAttacks } from "../../../../tools/soak/attacks/attack_runner.ts";
import { Faults } from "../../../../tools/soak/checks/faults.ts";
import {
  type AttackRecord,
  attacksOn,
  isProven,
} from "../../../../tools/soak/attacks/attack_rotation.ts";

const NAME = "publishes as fast as they go";

function faultsOf(some: Partial<AttackRecord>, hadTime = false): Faults {
  const record: AttackRecord = {
    ...{ runs: 0, completed: 0, proven: 0, connected: 0, greeted: 0, sent_bytes: 0, answers: 0 },
    ends: {},
    ...some,
  };
  const faults = new Faults();
  judgeAttacks({ [NAME]: record }, faults, hadTime);
  return faults;
}

describe("an attack", () => {
  it("that came to its end and did nothing is a fault", () => {
    const { counts, details } = faultsOf({ runs: 3, completed: 3, proven: 1, connected: 9 });
    assertEquals(counts, { idle_attack: 1 });
    assertStringIncludes(details[0]!, `: ${NAME}: 2 of 3 runs showed less than`);
  });

  it("that was cut off, or attacked in most of its runs, is none", () => {
    assertEquals(faultsOf({ runs: 1 }).total, 0);
    assertEquals(faultsOf({ runs: 3, completed: 3, proven: 2 }).total, 0);
    // A worker that was killed may have taken the only run with it.
    assertEquals(faultsOf({ runs: 1, completed: 1 }).total, 0);
  });

  it("that never began is a fault where there was time for it", () => {
    assertEquals([faultsOf({}, false).total, faultsOf({}, true).total], [0, 1]);
  });

  it("proves itself by all that is asked of it", () => {
    const tally = {
      connected: 5,
      greeted: 4,
      sentBytes: 100,
      answers: 3,
      ends: { left: 2, fin: 1 },
    };
    const proofs = [{ sentBytes: 100, answers: 3 }, { ended: 1 }, { ended: 2 }, { greeted: 5 }];
    assertEquals(proofs.map((proof) => isProven(tally, proof)), [true, true, false, false]);
  });

  it("of any kind has to show something that the server did, or let it connect", () => {
    for (const { name, proof } of attacksOn(true)) {
      const { connected = 0, greeted = 0, answers = 0, ended = 0 } = proof;
      assertEquals(connected + greeted + answers + ended > 0, true, name);
    }
  });
});
