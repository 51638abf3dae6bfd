/**
 * Reads the facts about an EC2 instance from its metadata service (IMDSv2).
 *
 * @module
 */

import { request } from "node:http";
import process from "node:process";

/** The facts about an instance; `null` if the service doesn't tell one. */
export interface Ec2Instance {
  readonly instanceType: string | null;
  readonly availabilityZone: string | null;
  readonly region: string | null;
  readonly amiId: string | null;
  readonly instanceId: string | null;
}

/** The service's address on every instance: a link-local one. */
const USUAL_ENDPOINT = "http://169.254.169.254";

/**
 * Milliseconds for an answer. The service is on the instance's own host: it answers within a millisecond,
 * or never.
 */
const PATIENCE_MS = 1000;

/**
 * The most bytes of an answer. Values are single words; a longer answer doesn't come from the service.
 */
const MAX_ANSWER_BYTES = 1024;

/** The service's address: that of the variable of AWS's own tools, or the usual one. */
export function metadataEndpoint(): string {
  try {
    const configured = process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
    return configured?.replace(/\/$/, "") || USUAL_ENDPOINT;
  } catch {
    return USUAL_ENDPOINT; // a sandbox that gives no environment
  }
}

/**
 * Asks the service. Takes at most two seconds, and never throws.
 *
 * @param endpoint See {@linkcode metadataEndpoint}.
 * @returns `null` if no such service answers.
 */
export async function readInstance(endpoint: string): Promise<Ec2Instance | null> {
  // Version 2 wants a token first. It comes by a PUT, which no proxy and no forged request passes on.
  const token = await ask(`${endpoint}/latest/api/token`, "PUT", {
    "X-aws-ec2-metadata-token-ttl-seconds": "60",
  });
  if (token === null) return null;
  const get = (path: string) =>
    ask(`${endpoint}/latest/meta-data/${path}`, "GET", { "X-aws-ec2-metadata-token": token });
  const [instanceType, availabilityZone, region, amiId, instanceId] = await Promise.all([
    get("instance-type"),
    get("placement/availability-zone"),
    get("placement/region"),
    get("ami-id"),
    get("instance-id"),
  ].map(async (answer) => word(await answer)));
  return {
    instanceType: instanceType!,
    availabilityZone: availabilityZone!,
    region: region!,
    amiId: amiId!,
    instanceId: instanceId!,
  };
}

/** Sends a request. Not by `fetch`, which would use a configured proxy. */
function ask(
  url: string,
  method: "GET" | "PUT",
  headers: Record<string, string>,
): Promise<string | null> {
  return new Promise<string>((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("latin1").on("data", (part: string) => {
        body += part;
        if (body.length > MAX_ANSWER_BYTES) asked.destroy(new Error("too long"));
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`status ${response.statusCode}`));
      });
      response.on("error", reject);
    });
    const timer = setTimeout(() => asked.destroy(new Error("too late")), PATIENCE_MS);
    asked.on("error", reject).on("close", () => {
      clearTimeout(timer);
      reject(new Error("closed"));
    });
    asked.end();
  }).catch(() => null);
}

/** Accepts single words only, because answers go into reports and into commands to copy. */
function word(text: string | null): string | null {
  return text !== null && /^[\w.-]{1,64}$/.test(text) ? text : null;
}
