import { assertEquals } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { describe, it } from "node:test";
import { WorkerSettings } from "../../../server/workers/worker_settings.ts";
import { linesOf, recordsOf } from "../../support/logged.ts";
import { VirtualTimers } from "../../support/virtual_timers.ts";
import { fakeWorker } from "./fake_child.ts";

const FIRST = { tls: { cert: "first", key: "k" }, access: { publishKeys: ["first"] } };
const SECOND = { tls: { cert: "second", key: "k" }, access: { publishKeys: ["second"] } };
const RENEW = { do: "renew", tls: SECOND.tls };
const SET_ACCESS = { do: "set_access", access: SECOND.access };

function twoWorkers() {
  const [one, other] = [fakeWorker(1), fakeWorker(2)];
  const workers = [one.worker, other.worker];
  const orders = () => [one, other].map(({ child }) => child.orders as unknown[]);
  return { workers, one, other, orders };
}

describe("the settings of several workers", () => {
  it("are told to all when they change, and to those that begin meanwhile", async () => {
    const { workers, orders } = twoWorkers();
    const settings = new WorkerSettings(FIRST, getLogger("not configured"));
    await settings.renew(SECOND.tls, workers);
    await settings.setAccess(SECOND.access, workers);
    assertEquals(orders(), [[RENEW, SET_ACCESS], [RENEW, SET_ACCESS]]);
    assertEquals(settings.current, SECOND);

    const [late, latest] = [fakeWorker(3), fakeWorker(4)];
    await settings.catchUp(late.worker, FIRST);
    await settings.catchUp(latest.worker, settings.current);
    assertEquals<unknown>([late, latest].map(({ child }) => child.orders), [
      [RENEW, SET_ACCESS],
      [],
    ]);
  });

  it("wait five seconds for one that hangs, which a line names, and which follows later", async () => {
    const { workers, other, orders } = twoWorkers();
    other.child.answers = ["nothing", "done"];
    const timers = new VirtualTimers();
    try {
      const records = await recordsOf(async (logger) => {
        const settings = new WorkerSettings(FIRST, logger);
        let isOver = false;
        const renewed = settings.renew(SECOND.tls, workers).then(() => isOver = true);
        await timers.passSeconds(4);
        assertEquals(isOver, false);
        await timers.passSeconds(1);
        await renewed;
        other.child.goOn();
        await settings.setAccess(SECOND.access, workers);
      });
      assertEquals(linesOf(records), [
        "warning: worker-2 hasn't followed yet: it will when it can",
      ]);
      assertEquals(orders(), [[RENEW, SET_ACCESS], [RENEW, SET_ACCESS]]);
    } finally {
      timers.restore();
    }
  });

  it("are told again to one that fails, but not where they have changed meanwhile", async () => {
    const { workers, one, other, orders } = twoWorkers();
    one.child.answers = ["failed", "done"];
    other.child.answers = ["failed", "done"];
    const records = await recordsOf(async (logger) => {
      const settings = new WorkerSettings(FIRST, logger);
      const older = settings.renew(FIRST.tls, [other.worker]);
      await Promise.all([older, settings.renew(SECOND.tls, workers)]);
    });
    assertEquals(orders(), [[RENEW, RENEW], [{ do: "renew", tls: FIRST.tls }, RENEW]]);
    const again = (name: string) =>
      `error: ${name} stays as it was, and is told again in 1000 ms: no memory`;
    assertEquals(linesOf(records).sort(), [again("worker-1"), again("worker-2")]);
  });

  it("matter no more to one that ends while it is told", async () => {
    const { workers, other, orders } = twoWorkers();
    other.child.answers = ["nothing"];
    const records = await recordsOf(async (logger) => {
      const settings = new WorkerSettings(FIRST, logger);
      const renewed = settings.renew(SECOND.tls, workers);
      other.child.kill("SIGTERM");
      await renewed;
    });
    assertEquals([records, orders()], [[], [[RENEW], [RENEW]]]);
  });
});
