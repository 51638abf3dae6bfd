/**
 * A service worker that carries a message from itself to itself, over the server that it is told.
 *
 * @module
 */

import { connect } from "../../../client/browser.ts";

interface Asked {
  readonly data: string;
  readonly ports: readonly { postMessage(answer: unknown): void }[];
}

addEventListener("message", async (event) => {
  const { data: url, ports: [port] } = event as unknown as Asked;
  const hotwheels = await connect(url);
  const messages = hotwheels.subscribe("from a service worker");
  await hotwheels.publish({ topic: "from a service worker", data: "hello" });
  const { value } = await messages.next();
  await hotwheels.close();
  port!.postMessage(value.message.data);
});
