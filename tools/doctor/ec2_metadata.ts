/**
 * What an EC2 instance is, by its metadata service (IMDSv2).
 *
 * @module
 */

import { request } from "node:http";
import process from "node:process";

/** An instance; `null` for what the service doesn't tell. */
export interface Ec2Instance {
  readonly instanceType: string | null;
  readonly availabilityZone: string | null;
  readonly region: string | null;
  readonly amiId: string | null;
  readonly instanceId: string | null;
}

/** Where every instance finds the service, at a link-local address. */
const USUAL_ENDPOINT = "http://169.254.169.254";

/** The service is on the instance's own host: an answer takes a millisecond, or never comes. */
const PATIENCE_MS = 1000;

/** A value is a word; whatever answers with more isn't the service. */
const MAX_ANSWER_BYTES = 1024;

/** Where the service is: where the variable of AWS's own tools says, or where it always is. */
export function metadataEndpoint(): string {
  try {
    const configured = process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
    return configured?.replace(/\/$/, "") || USUAL_ENDPOINT;
  } catch {
    return USUAL_ENDPOINT; // a sandbox that gives no environment
  }
}

/**
 * Asks the service; at most two seconds, never throws.
 *
 * @param endpoint See {@linkcode metadataEndpoint}.
 * @returns `null` where no such service answers.
 */
export async function readInstance(endpoint: string): Promise<Ec2Instance | null> {
  // Version 2 wants a token first, got with a PUT, which no proxy and no forged request passes on.
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

/** Not by `fetch`, which would go through a proxy where one is configured. */
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

/** What the service says becomes a part of reports and of commands to copy. */
function word(text: string | null): string | null {
  return text !== null && /^[\w.-]{1,64}$/.test(text) ? text : null;
}
