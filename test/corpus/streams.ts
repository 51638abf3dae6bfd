/**
 * What clients sent that once was taken for something else, or easily could be. Each is fed to the
 * decoder on every run, cut at every place. Bytes as Latin-1.
 *
 * @module
 */

const DEEP = 90;

/** A stream, and why it's kept. */
export const STREAMS: readonly (readonly [why: string, stream: string])[] = [
  ["nothing", ""],
  ["empty frames only", "\0\0\0"],
  ["a frame's terminator of the other side", "PING\x01PONG\0"],
  ["a word with more behind it", "PINGS\0"],
  ["a word in the other case", "ping\0"],
  ["PUBLISH without its NUL, then an object", 'PUBLISH{"topic":"a"}\0'],
  ["PUBLISH twice", 'PUBLISH\0PUBLISH\0{"topic":"a"}\0'],
  [
    "half of what Flash clients send, between PUBLISH and MESSAGE",
    'PUBLISH\0<regular-\0{"topic":"a"}',
  ],
  [
    "a subscriber of 2009 that then answers a PING",
    '<regular-socket/>\0PING\0<regular-socket/>\0{"action":"subscribe","data":"a"}\0PONG\0',
  ],
  ["a publisher of 2009", '<regular-socket/>\0PUBLISH\0{"topic":"a"}'],
  [
    "a publisher that begins as in 2009, and goes on",
    '<regular-socket/>\0PUBLISH\0{"topic":"a"} \0PUBLISH\0{"topic":"b"}',
  ],
  ["the marker, but not first", "\0<regular-socket/>\0"],
  ["more than the marker in the first frame", "<regular-socket/>x\0"],
  ["an array for MESSAGE", "PUBLISH\0[]\0"],
  ["a MESSAGE without a topic", "PUBLISH\0{}\0"],
  ["a topic that is no string", 'PUBLISH\0{"topic":["a"]}\0'],
  ["an empty topic", '{"action":"subscribe","data":""}\0'],
  ["a topic of half a surrogate pair", '{"action":"subscribe","data":"\\ud800"}\0'],
  ["a topic of 257 bytes", `{"action":"subscribe","data":"${"x".repeat(257)}"}\0`],
  ["a topic of NUL, spelled", 'PUBLISH\0{"topic":"\\u0000"}\0'],
  ["members twice, the right one last", '{"action":1,"data":2,"data":"a","action":"subscribe"}\0'],
  ["members twice, the wrong one last", '{"action":"subscribe","data":"a","data":2}\0'],
  ["a timestamp that is spelled otherwise", 'PUBLISH\0{"\\u0074imestamp":1,"topic":"a"}\0'],
  ["a timestamp one level down", 'PUBLISH\0{"topic":"a","x":{"timestamp":1}}\0'],
  ["a topic one level down only", 'PUBLISH\0{"x":{"topic":"a"}}\0'],
  ["an overlong encoding of a quotation mark", 'PUBLISH\0{"topic":"\xc0\xa2"}\0'],
  ["a byte order mark in front", '\xef\xbb\xbf{"action":"subscribe","data":"a"}\0'],
  ["a comma too many", 'PUBLISH\0{"topic":"a",}\0'],
  ["a number with a zero in front", 'PUBLISH\0{"topic":"a","n":01}\0'],
  ["a number that ends in its point", 'PUBLISH\0{"topic":"a","n":1.}\0'],
  ["a number too large for any", 'PUBLISH\0{"topic":"a","n":1e99999}\0'],
  ["a line's end within a string", 'PUBLISH\0{"topic":"a\n"}\0'],
  ["an escape that there isn't", 'PUBLISH\0{"topic":"\\x61"}\0'],
  ["deep arrays", `PUBLISH\0{"topic":"a","x":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}\0`],
  ["deep arrays and objects, closed the wrong way", 'PUBLISH\0{"topic":"a","x":[{"y":[}]]}\0'],
  ["a name like those that every object has", 'PUBLISH\0{"__proto__":{"topic":"b"},"topic":"a"}\0'],
  ["a MESSAGE for a receipt, with data in front", '{"data":{"topic":"a"},"action":"publish"}\0'],
  ["a MESSAGE for a receipt that is a string", '{"action":"publish","data":"{}"}\0'],
  [
    "a MESSAGE for a receipt with a timestamp",
    '{"action":"publish","data":{"topic":"a","timestamp":0}}\0',
  ],
  ["a key that is no string", '{"action":"authenticate","data":{}}\0'],
  ["space of other kinds around MESSAGE", 'PUBLISH\0\x0b{"topic":"a"}\0'],
  ["two objects in one frame", 'PUBLISH\0{"topic":"a"}{"topic":"b"}\0'],
];
