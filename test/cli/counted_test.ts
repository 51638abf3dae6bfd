import { assertEquals } from "@std/assert";
import { it } from "node:test";
import { counted } from "../../cli/counted.ts";

it("one is singular, and all else plural", () => {
  assertEquals([0, 1, 2].map((amount) => counted(amount, "bot")), ["0 bots", "1 bot", "2 bots"]);
});
