import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { encodeFrame, FrameDecoder, type Members } from "../../../bots/agents/frames.ts";
import { newNonce, proofOf } from "../../../bots/agents/proof.ts";
import { RemoteAgent } from "../../../bots/agents/remote_agent.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { detectRuntime } from "../../../runtime/detect.ts";

const PATIENCE = { timeout: 60_000 };
const KEY = "6f1d2a9e0c3b48577a8e9d0c1b2a3f4e";

const runtime = await detectRuntime();

/** What listens in an agent's place. */
interface FalseAgent {
  onConnect(socket: Socket): void;
  onFrame?(members: Members, socket: Socket): void;
}

/** Leads what listens in an agent's place, and hears why that can't be. */
async function lead(
  { onConnect, onFrame }: FalseAgent,
  test: (agent: Promise<RemoteAgent>) => Promise<void>,
): Promise<void> {
  const server = createServer((socket) => {
    const decoder = new FrameDecoder(1000);
    socket.on("data", (chunk: Uint8Array) => {
      decoder.push(chunk, (members) => {
        onFrame?.(members, socket);
        return true;
      });
    });
    socket.on("error", () => {});
    onConnect(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as { port: number };
  const place = { host: "127.0.0.1", port, name: "the-name:1" };
  try {
    await test(RemoteAgent.connect(runtime, place, { places: [place], key: KEY, tls: null }));
  } finally {
    server.close();
  }
}

async function refusal(agent: FalseAgent): Promise<string> {
  let message = "";
  await lead(agent, async (connecting) => {
    message = (await assertRejects(() => connecting, EnvironmentError)).message;
  });
  return message;
}

describe("a leader", () => {
  const greet = (socket: Socket, nonce = newNonce()) => {
    socket.write(encodeFrame({ hotwheels_agents: 1, nonce }));
    return nonce;
  };

  it("tells nothing to an agent that doesn't know the key", PATIENCE, async () => {
    const heard: string[] = [];
    for (
      const prove of [
        () => proofOf("another", "agent", { agent: "", leader: "" }),
        // Its own proof, sent back.
        ({ proof }: Members) => proof,
      ]
    ) {
      const said = await refusal({
        onConnect: (socket) => void greet(socket),
        onFrame(members, socket) {
          heard.push(...Object.keys(members));
          socket.write(encodeFrame({ proof: prove(members) }));
        },
      });
      assertMatch(said, /^what listens at the-name:1 doesn't know the key, so it's told nothing/);
    }
    assertEquals([...new Set(heard)], ["hotwheels_agents", "nonce", "proof"]);
  });

  it(
    "says of what is no agent that it's none, and of another version which",
    PATIENCE,
    async () => {
      for (
        const onConnect of [
          (socket: Socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
          (socket: Socket) => void socket.write(encodeFrame({ timestamp: 1 })),
          (socket: Socket) => void socket.end(),
        ]
      ) {
        assertMatch(
          await refusal({ onConnect }),
          /^what listens at the-name:1 doesn't speak as an/,
        );
      }
      const other = await refusal({
        onConnect: (socket) => void socket.write(encodeFrame({ hotwheels_agents: 2, nonce: "x" })),
      });
      assertMatch(other, /is of another version of Hotwheels: install the same on both$/);
    },
  );

  it(
    "gives up an agent that makes no sense, or goes, in the middle of a call",
    PATIENCE,
    async () => {
      for (
        const [answer, why] of [
          [(socket: Socket) => void socket.write("\xff\xff\xff\xff"), /sent what makes no sense/],
          [(socket: Socket) => void socket.end(), /it closed the connection/],
        ] as const
      ) {
        const nonces = { agent: "", leader: "" };
        const agent: FalseAgent = {
          onConnect: (socket) => void (nonces.agent = greet(socket)),
          onFrame({ nonce, call }, socket) {
            if (call !== undefined) return answer(socket);
            nonces.leader = String(nonce);
            socket.write(encodeFrame({ proof: proofOf(KEY, "agent", nonces) }));
          },
        };
        await lead(agent, async (connecting) => {
          const remote = await connecting;
          remote.role = "5 of 10 bots";
          const error = await assertRejects(() => remote.call("settle"), EnvironmentError);
          assertMatch(
            error.message,
            /^INVALID: the agent at the-name:1 with 5 of 10 bots is lost: /,
          );
          assertMatch(error.message, why);
          await assertRejects(() => remote.call("settle"), EnvironmentError, "is lost");
        });
      }
    },
  );
});
