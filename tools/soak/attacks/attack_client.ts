/**
 * The main module of the attackers' process, which `attack_runner.ts` starts.
 *
 * @module
 */

import { Random } from "../../harness/random.ts";
import type { AttackNote, AttackOrder } from "./attack_runner.ts";
import { onFinish, readOrder, tell } from "../clients/client_script.ts";
import { AttackRotation } from "./attack_rotation.ts";

const { context, seed, only, concurrency } = readOrder<AttackOrder>();
const rotation = new AttackRotation(context, new Random(seed), only);
onFinish(async () => {
  await rotation.stop();
  tell({ records: rotation.records } satisfies AttackNote);
});
rotation.start(concurrency);
