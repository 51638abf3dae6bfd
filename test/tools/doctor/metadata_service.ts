/**
 * A stand-in for EC2's metadata service, version 2, on the loopback network.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The real service's answers on a small instance. */
export const VALUES: Readonly<Record<string, string>> = {
  "instance-type": "t4g.small",
  "placement/availability-zone": "eu-central-1a",
  "placement/region": "eu-central-1",
  "ami-id": "ami-0123456789abcdef0",
  "instance-id": "i-0123456789abcdef0",
};

const TOKEN = "AQAEAtoken==";

/** Answers as the real one does, unless it's told to answer otherwise. */
export class MetadataService {
  /** Each request's method and path. */
  readonly requests: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * @param values Instead of {@linkcode VALUES}.
   * @param answer Answers instead of the usual answer where it returns true.
   */
  static async start(
    values: Readonly<Record<string, string>> = VALUES,
    answer: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
  ): Promise<MetadataService> {
    const server = createServer();
    const service = new MetadataService(server);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      service.requests.push(`${request.method} ${request.url}`);
      if (!answer(request, response)) respond(request, response, values);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return service;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function respond(
  { method, url, headers }: IncomingMessage,
  response: ServerResponse,
  values: Readonly<Record<string, string>>,
): void {
  if (url === "/latest/api/token") {
    const isRight = method === "PUT" && headers["x-aws-ec2-metadata-token-ttl-seconds"] === "60";
    response.writeHead(isRight ? 200 : 400).end(isRight ? TOKEN : "");
  } else if (method !== "GET" || headers["x-aws-ec2-metadata-token"] !== TOKEN) {
    response.writeHead(401).end();
  } else {
    const value = values[(url ?? "").replace("/latest/meta-data/", "")];
    response.writeHead(value === undefined ? 404 : 200).end(value ?? "not found");
  }
}
