/**
 * The bed of the client's suite on Node, Deno and Bun.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import type { RuntimeName } from "../../../cli/program.ts";
import { lastingPort } from "../../../tools/harness/lasting_port.ts";
import { descendants } from "../processes/process_tree.ts";
import { ServerCommand } from "../processes/server_command.ts";
import { FIRST, identityFile, SECOND } from "../identities.ts";
import type { Bed, Door, Ports, Script, SecureServer } from "./bed.ts";
import { ScriptedServer } from "./scripted_server.ts";

interface Started {
  readonly flags: readonly string[];
  readonly ports: Ports;
  readonly command: ServerCommand;
}

export class MachineBed implements Bed {
  readonly #runtime: RuntimeName;
  readonly #started: Started[] = [];
  #plain: Promise<Ports> | undefined;
  readonly #scripted = new Map<number, ScriptedServer>();
  readonly #proxies = new Map<number, Proxy>();

  /** @param runtime The one that runs the servers. */
  constructor(runtime: RuntimeName) {
    this.#runtime = runtime;
  }

  plain(): Promise<Ports> {
    return this.#plain ??= this.start([]);
  }

  async start(flags: readonly string[]): Promise<Ports> {
    for (;;) {
      try {
        return await this.#start(flags);
      } catch (error) {
        // Another test's process may have drawn the same port, and be the first to listen.
        if (!String(error).includes("the address is in use")) throw error;
      }
    }
  }

  async #start(flags: readonly string[]): Promise<Ports> {
    // All its workers may be killed, while the scripted servers of other tests take one port after the other.
    const [tcp, ws] = [await lastingPort(), await lastingPort()];
    const doors = ["--port", String(tcp), "--ws-port", String(ws)];
    const command = await ServerCommand.listening(this.#runtime, [...doors, ...flags]);
    const ports = { id: this.#started.length, tcp, ws };
    this.#started.push({ flags, ports, command });
    return ports;
  }

  async startSecure(): Promise<SecureServer> {
    const files = (["crt", "key"] as const).map((kind) => identityFile("first", kind));
    const ports = await this.start(["--tls-cert", files[0]!, "--tls-key", files[1]!]);
    return { ...ports, ca: FIRST.cert, wrongCa: SECOND.cert };
  }

  async stop(id: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const { command } = this.#started[id]!;
    process.kill(command.pid, signal);
    await command.exited();
  }

  restart(id: number): Promise<Ports> {
    return this.start(this.#started[id]!.flags);
  }

  killWorkers(id: number): Promise<void> {
    const { command } = this.#started[id]!;
    for (const { pid } of descendants(command.pid)) process.kill(pid, "SIGKILL");
    return Promise.resolve();
  }

  log(id: number): Promise<string> {
    return Promise.resolve(this.#started[id]!.command.stderr);
  }

  async script(door: Door, script: Script): Promise<number> {
    const server = await ScriptedServer.start(door, script);
    this.#scripted.set(server.port, server);
    return server.port;
  }

  heard(port: number): Promise<string[][]> {
    return Promise.resolve(this.#scripted.get(port)!.heard);
  }

  async proxy(port: number): Promise<number> {
    const proxy = await Proxy.start(port);
    this.#proxies.set(proxy.port, proxy);
    return proxy.port;
  }

  aim(proxy: number, port: number): Promise<void> {
    this.#proxies.get(proxy)!.target = port;
    return Promise.resolve();
  }

  disturb(port: number, how: "cut" | "close" | "open" | "freeze"): Promise<void> {
    const proxy = this.#proxies.get(port)!;
    if (how === "open") proxy.isOpen = true;
    else if (how === "freeze") proxy.freeze();
    else {
      proxy.isOpen = how !== "close";
      proxy.cut();
    }
    return Promise.resolve();
  }

  async dispose(): Promise<void> {
    for (const proxy of this.#proxies.values()) await proxy.stop();
    for (const server of this.#scripted.values()) await server.close();
    for (const { command } of this.#started) await command.dispose();
  }
}

/** Stands in front of a port. */
class Proxy {
  isOpen = true;
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.target = port;
    this.#server = createServer((near) => {
      if (!this.isOpen) return void near.destroy();
      const far = connect(this.target, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]] as const) {
        this.#sockets.add(from);
        from.on("error", () => {});
        from.on("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  static async start(port: number): Promise<Proxy> {
    const proxy = new Proxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts what there is now. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Passes nothing on any more, on the connections that there are. */
  freeze(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
