import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/yaml/parse";
import { describe, it } from "node:test";
import { optionsOf, read } from "./deploy_files.ts";

/** The part of a Kubernetes object that is looked at. */
interface KubernetesObject {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string };
  // deno-lint-ignore no-explicit-any
  readonly spec: any;
}

describe("the Kubernetes manifests", () => {
  const documents = read("kubernetes/hotwheels.yaml").split(/^---$/m)
    .map((text) => parse(text) as KubernetesObject);
  const of = (kind: string) => documents.find((one) => one.kind === kind)!;
  const pod = of("Deployment").spec.template.spec;
  const [container] = pod.containers;
  const variables = Object.fromEntries(
    container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  ) as Record<string, string>;

  it("are of the kinds and versions that there are", () => {
    assertEquals(documents.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`), [
      "apps/v1 Deployment",
      "v1 Service",
      "monitoring.coreos.com/v1 PodMonitor",
    ]);
    const labels = of("Deployment").spec.template.metadata.labels;
    for (
      const selector of [of("Deployment").spec.selector.matchLabels, of("Service").spec.selector]
    ) {
      assertEquals(selector, labels);
    }
    assertEquals(of("PodMonitor").spec.selector.matchLabels, labels);
    const ports = container.ports.map(({ name }: { name: string }) => name);
    assert(ports.includes(of("Service").spec.ports[0].targetPort));
    assert(ports.includes(of("PodMonitor").spec.podMetricsEndpoints[0].port));
  });

  it("set no variable that the server doesn't know, and let Kubernetes set none", () => {
    const options = optionsOf(variables);
    assertEquals([options.workers, options.logFormat], [2, "json"]);
    assertEquals(pod.enableServiceLinks, false);
    for (const { value } of container.env) assertEquals(typeof value, "string");
  });

  it("give a stop the time that it takes, and ask for its health", () => {
    const { drainMs = 0, drainDelayMs } = optionsOf(variables);
    const stopSeconds = 10 + (drainMs + drainDelayMs) / 1000;
    assert(pod.terminationGracePeriodSeconds > stopSeconds, `${stopSeconds} s`);
    assertEquals(container.livenessProbe.httpGet, { path: "/livez", port: "admin" });
    assertEquals(container.readinessProbe.httpGet, { path: "/readyz", port: "admin" });
    // The service hears of it before the delay is over.
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    assert(periodSeconds * failureThreshold < drainDelayMs / 1000);
  });

  it("run as nobody in particular, on a root file system that nobody writes", () => {
    assert(pod.securityContext.runAsNonRoot && pod.securityContext.runAsUser > 0);
    const { securityContext, volumeMounts } = container;
    assertEquals(
      [securityContext.readOnlyRootFilesystem, securityContext.allowPrivilegeEscalation],
      [true, false],
    );
    assertEquals(securityContext.capabilities.drop, ["ALL"]);
    for (const { name } of volumeMounts) {
      assert(pod.volumes.some((volume: { name: string }) => volume.name === name), name);
    }
  });
});
