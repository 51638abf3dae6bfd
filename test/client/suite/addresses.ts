import { assertEquals, assertMatch } from "@std/assert";
import { type Case, data, failure, QUICK } from "./case.ts";

/** Wrong URLs and certificates, and right ones. */
export const ADDRESSES: readonly Case[] = [
  {
    name: "says what is wrong with a URL",
    async run({ connect }) {
      const wrong = [
        ...["localhost:8081", "http://localhost:8081", "hotwheels://", "hotwheels://a:b@c"],
        ...["hotwheels://localhost:8081/path", "nonsense", ""],
      ];
      for (const url of wrong) {
        const error = await failure(connect(url));
        assertEquals(error.name, "UrlError", url);
        assertMatch(error.message, /Write hotwheels:\/\/HOST:PORT/);
      }
      assertEquals((await failure(connect([]))).name, "RangeError");
      const options = { buffer: -1 };
      assertEquals((await failure(connect("ws://localhost", options))).name, "RangeError");
    },
  },
  {
    name: "speaks TLS, and says what is wrong with a certificate, or with a port",
    door: "tcp",
    async run({ bed, connect, topic }) {
      const secure = await bed.startSecure();
      const url = `hotwheelss://localhost:${secure.tcp}`;
      const hotwheels = await connect(url, { ca: secure.ca });
      const messages = hotwheels.subscribe(topic);
      await hotwheels.publish({ topic, data: "x".repeat(30_000) });
      assertEquals(await data(messages, 1), ["x".repeat(30_000)]);
      await hotwheels.close();
      for (const ca of [undefined, secure.wrongCa]) {
        const error = await failure(connect(url, { ...QUICK, ca }));
        assertEquals(error.name, "CertificateError", error.message);
        assertMatch(error.message, /option ca/);
      }
      const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
      for (const ca of ["authority.pem", broken, 5 as never]) {
        const error = await failure(connect(url, { ...QUICK, ca }));
        assertMatch(error.name, /^(?:Range|Final|Certificate)Error$/, error.message);
        assertMatch(error.message, /option ca/);
      }
      const plain = await failure(connect(`hotwheels://localhost:${secure.tcp}`, QUICK));
      assertEquals(plain.name, "UrlError", plain.message);
      assertMatch(plain.message, /hotwheelss:\/\//);
      const { tcp, ws } = await bed.plain();
      const notTls = await failure(connect(`hotwheelss://localhost:${tcp}`, QUICK));
      assertEquals(notTls.name, "UrlError", notTls.message);
      const web = await failure(connect(`hotwheels://localhost:${ws}`, QUICK));
      assertEquals(web.name, "UrlError", web.message);
    },
  },
  {
    name: "speaks TLS over WebSocket, and says what is wrong with a certificate if it is told",
    door: "ws",
    needsTrust: true,
    async run({ bed, connect, topic }) {
      const secure = await bed.startSecure();
      const url = `wss://localhost:${secure.ws}`;
      const hotwheels = await connect(url, QUICK);
      const messages = hotwheels.subscribe(topic);
      await messages.ready;
      const long = "ü".repeat(15_000);
      await hotwheels.publish({ topic, data: long });
      assertEquals(await data(messages, 1), [long]);
      // It comes back, and goes on where it was.
      const other = await connect(`hotwheelss://localhost:${secure.tcp}`, { ca: secure.ca });
      const proxy = await bed.proxy(secure.ws);
      const returning = await connect(`wss://localhost:${proxy}`, QUICK);
      const all = returning.subscribe(topic, { onGap: "throw" });
      await all.ready;
      await bed.disturb(proxy, "close");
      await other.publish({ topic, data: "meanwhile" });
      await bed.disturb(proxy, "open");
      assertEquals(await data(all, 1), ["meanwhile"]);
      for (const client of [hotwheels, other, returning]) await client.close();
      const folder = "test/support/certificates/second";
      const unknown = await bed.start([
        "--tls-cert",
        `${folder}.crt`,
        "--tls-key",
        `${folder}.key`,
      ]);
      const retry = { minMs: 1, attempts: 2 };
      const error = await failure(connect(`wss://localhost:${unknown.ws}`, { ...QUICK, retry }));
      // Node's WebSocket doesn't tell.
      assertMatch(error.name, /^(CertificateError|ConnectionError)$/);
      assertEquals(/certificate|Issuer/.test(error.message), error.name === "CertificateError");
    },
  },
];
