import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { connect } from "../../client/mod.ts";
import { ScriptedServer } from "../support/client/scripted_server.ts";
import type { Scripted } from "../support/client/bed.ts";

/** More bytes than the scripted server's answer to a handshake has. */
const HANDSHAKE_BYTES = 170;

const AT_ONCE = 17;

const LOG: readonly Scripted[] = [["aaaaaaaaaaaaaaaa", 10, "1"]];

// Not part of the suite: browsers let those wait that fail often, and Node's WebSocket doesn't always tell.
describe("the client over ws", () => {
  it("comes back wherever in the handshake's answer the connection breaks", {
    timeout: 60_000,
  }, async () => {
    const tryWith = async (cut: number) => {
      const server = await ScriptedServer.start("ws", { log: LOG, cuts: [cut] });
      const options = { retry: { minMs: 0, maxMs: 0 }, timeout: 3_000 };
      const hotwheels = await connect(`ws://127.0.0.1:${server.port}`, options);
      const { value } = await hotwheels.subscribe("t").next();
      assertEquals(value.message.data, "1", `cut after ${cut} bytes`);
      await hotwheels.close();
      await server.close();
    };
    for (let from = 0; from < HANDSHAKE_BYTES; from += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => tryWith(from + i)));
    }
  });
});
