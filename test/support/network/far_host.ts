/**
 * Clients on another network, which can be cut off as if a cable were pulled.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { Fixture } from "../processes/fixture.ts";

/** The reason why no other network can be made here; `false` if one can. */
export function whyNoFarHost(): string | false {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  const { status, error } = spawnSync("unshare", ["--net", "ip", "link", "add", "type", "veth"]);
  return error === undefined && status === 0
    ? false
    : "making a network takes root, ip and unshare";
}

/**
 * A process in a network of its own, a namespace that ends with it, and the link that leads there.
 */
export class FarHost {
  /** The process's address, as the server sees it. */
  readonly address: string;
  /** This network's address, as the far one sees it. */
  readonly nearAddress: string;
  readonly #process: Fixture;
  readonly #pid: string;

  private constructor(process: Fixture, pid: string) {
    // A block for benchmarks (RFC 2544) that no real host uses, and four addresses of it for each process
    // ID.
    const block = (Number(pid) % 32_768) * 4;
    const network = `198.${18 + (block >> 16)}.${(block >> 8) & 255}`;
    this.#process = process;
    this.#pid = pid;
    this.nearAddress = `${network}.${(block & 255) + 1}`;
    this.address = `${network}.${(block & 255) + 2}`;
  }

  static async start(): Promise<FarHost> {
    const script = new URL("far_clients.ts", import.meta.url).pathname;
    const process = new Fixture(script, [], undefined, ["unshare", "--net"]);
    try {
      const host = new FarHost(process, await process.line());
      host.#connect();
      return host;
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  /** Subscribes clients; each has had its ACK. */
  async subscribe(port: number, topic: string, count: number): Promise<void> {
    this.#process.send(JSON.stringify({ hostname: this.nearAddress, port, topic, count }));
    const answer = await this.#process.line();
    if (answer !== "subscribed") throw new Error(answer);
  }

  /** From now on nothing comes through either way, and neither side is told. */
  cut(): void {
    // A link that is down would be noticed at the near end.
    this.#runFar("ip", "address", "flush", "dev", "far");
  }

  /** The cable is back: what waits is sent again. */
  mend(): void {
    this.#runFar("ip", "address", "add", `${this.address}/30`, "dev", "far");
  }

  /** The words in front of a command that make it run in that network. */
  get command(): readonly string[] {
    return ["nsenter", "--net", "--target", this.#pid];
  }

  /** Ends the process and the network. */
  async stop(): Promise<void> {
    await this.#process.stop();
    // What is in flight keeps the namespace for a while, but not the link.
    spawnSync("ip", ["link", "delete", this.#link]);
  }

  #connect(): void {
    const link = this.#link;
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "far", "netns", this.#pid);
    run("ip", "address", "add", `${this.nearAddress}/30`, "dev", link);
    run("ip", "link", "set", link, "up");
    this.#runFar("ip", "address", "add", `${this.address}/30`, "dev", "far");
    this.#runFar("ip", "link", "set", "far", "up");
  }

  get #link(): string {
    return `hw${this.#pid}`;
  }

  #runFar(...command: string[]): void {
    run("nsenter", "--net", "--target", this.#pid, ...command);
  }
}

function run(...command: string[]): void {
  const { status, stderr, error } = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")}: ${error?.message ?? stderr}`);
}
