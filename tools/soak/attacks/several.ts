import { AttackConnection, type AttackContext } from "./attack_connection.ts";

/** Opens `count` connections that all do the same. Resolves when all are over. */
export async function several(
  context: AttackContext,
  count: number,
  act: (attacker: AttackConnection, at: number) => Promise<void>,
  from?: string,
): Promise<void> {
  await Promise.all(Array.from({ length: count }, async (_, at) => {
    const attacker = new AttackConnection(context, from);
    await attacker.connected();
    if (!attacker.isOver) await act(attacker, at);
    attacker.abort();
    await attacker.ended;
  }));
}
