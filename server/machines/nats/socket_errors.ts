import type { Socket } from "node:net";

/** The parts of nats.js's transport that make a socket. */
interface SocketMaker {
  dial(server: never): Promise<Socket>;
  startTLS(): Promise<Socket>;
  tlsFirst(server: never): Promise<Socket>;
}

let isGuarded = false;

/**
 * Sees to it that no error of a socket of NATS ends the process. nats.js takes all listeners from a socket that it is
 * done with, or about to use otherwise; on Deno such a socket may still say that it was reset.
 */
export async function guardSockets(): Promise<void> {
  if (isGuarded) return;
  const { NodeTransport } = await import("@nats-io/transport-node/lib/node_transport.js");
  isGuarded = true;
  const maker = NodeTransport.prototype as unknown as SocketMaker;
  for (const name of ["dial", "startTLS", "tlsFirst"] as const) {
    const make = maker[name] as (this: unknown, server: never) => Promise<Socket>;
    maker[name] = async function (this: unknown, server?: never) {
      return guarded(await make.call(this, server as never));
    };
  }
}

function guarded(socket: Socket): Socket {
  const remove = socket.removeAllListeners.bind(socket);
  socket.removeAllListeners = (event?: string | symbol) => {
    if (event === undefined) remove();
    else remove(event);
    // What it says was dealt with, or is found out by the silence that follows.
    socket.on("error", () => {});
    return socket;
  };
  return socket.on("error", () => {});
}
