/**
 * The attackers' process; run by `attack_runner.ts`.
 *
 * @module
 */

import { Random } from "../../harness/random.ts";
import type { AttackNote, AttackOrder } from "./attack_runner.ts";
import { onConclusion, readOrder, tell } from "../clients/client_script.ts";
import { Siege } from "./siege.ts";

const { field, seed, only, columns } = readOrder<AttackOrder>();
const siege = new Siege(field, new Random(seed), only);
onConclusion(async () => {
  await siege.stop();
  tell({ records: siege.records } satisfies AttackNote);
});
siege.start(columns);
