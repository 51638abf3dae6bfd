import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { MemoryBed } from "../../support/memory/memory_bed.ts";
import { Client, gone, outline, resumeOf } from "../session/resume_bed.ts";

describe("a position that names a process which joins", () => {
  it("waits where that process is to be linked and hasn't said its name yet", async () => {
    const [first, second] = await MemoryBed.linked(2);
    const { bed: joining } = await MemoryBed.joining("/joining", new Map([["/0", first]]));
    await second.link("/joining");
    const positions = gone(first, "t", "had");
    const client = new Client(second, positions);
    client.peer.send(positions.subscribe("t"));
    first.net.settle();
    assertEquals(outline(client.frames()), []);
    await joining.link("/1");
    first.net.settle();
    assertEquals(resumeOf(client.frames()).reason, "ok");
  });
});
