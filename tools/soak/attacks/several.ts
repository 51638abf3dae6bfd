import { Assailant, type Field } from "./assailant.ts";

/** Some connections that all do the same. */
export async function several(
  field: Field,
  count: number,
  act: (assailant: Assailant, at: number) => Promise<void>,
  from?: string,
): Promise<void> {
  await Promise.all(Array.from({ length: count }, async (_, at) => {
    const assailant = new Assailant(field, from);
    await assailant.connected();
    if (!assailant.isOver) await act(assailant, at);
    assailant.abort();
    await assailant.ended;
  }));
}
