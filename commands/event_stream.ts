/** A server-sent event. */
export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/** Reads server-sent events, of one line of data each, as they come. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const utf8 = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += utf8.decode(chunk, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (name !== undefined && data !== undefined) yield { name, data };
    }
  }
}
