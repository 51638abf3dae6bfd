import { assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "node:test";
import type { Mesh } from "../../../server/cluster/mesh.ts";
import { MeshSiblings } from "../../../server/machines/joint_backplane.ts";

describe("a process that speaks with other machines", () => {
  it("lets a sibling that is behind have what was asked for, sooner than what comes by itself", () => {
    const bounds: (number | undefined)[] = [];
    const mesh = {
      siblings: [] as string[],
      sendMachines: (_: Uint8Array, most?: number) => bounds.push(most),
    };
    const siblings = new MeshSiblings(mesh as unknown as Mesh);
    siblings.relay(new Uint8Array(1), { mayBeDropped: true, isChecked: true });
    siblings.relay(new Uint8Array(1), { mayBeDropped: false, isChecked: false });
    // Orders reach it in any case.
    siblings.handUp(new Uint8Array(1));
    siblings.tellUplink({ isReachable: true, isPrompt: true, maxFrameBytes: 1 });
    const [live, asked, ...orders] = bounds;
    assertGreater(asked!, live!);
    assertEquals(orders, [undefined, undefined]);
  });

  it("asks for nothing that a sibling's link would have no room for", () => {
    let pendingBytes: number | undefined;
    const siblings = new MeshSiblings({ pendingBytesOf: () => pendingBytes } as unknown as Mesh);
    const rooms = [undefined, 0, 2 * 1024 * 1024, 2 * 1024 * 1024 + 1].map((bytes) => {
      pendingBytes = bytes;
      return siblings.hasRoomFor("sibling");
    });
    assertEquals(rooms, [false, true, true, false]);
  });
});
