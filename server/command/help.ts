/** The text that `--help` prints. */
export const HELP = `Hotwheels: a Janus publish/subscribe server over TCP.

Usage:
  hotwheels serve [flags]
  deno task -q serve [flags]
  bun run server/main.ts [flags]

Where:
  --host HOST          the address to listen on (default 0.0.0.0, every IPv4
                       interface; :: for IPv6 too)
  --port PORT          the port (default 8081; 0 lets the system choose one)
  --ws-port PORT       accept WebSockets there too (default: none; 0 lets the
                       system choose one). With --tls-cert they are wss://
  --ws-origins ORIGIN,...
                       web pages that may connect there, such as
                       https://example.com, example.com for any scheme, or * for
                       all (default: pages of the same host, from any port).
                       Programs that aren't browsers may in any case
  --workers N          share the port among N processes (default 1), or auto for
                       one a core; 64 at most, either way. Each has a descriptor
                       limit of its own. Linux only; elsewhere one serves

TLS, for all connections:
  --tls-cert FILE      the certificate and the intermediate ones up to its root,
                       as PEM
  --tls-key FILE       its private key, as PEM

Limits, of all workers together. Workers lend each other places that they don't
need. They can't lend memory, of which each has its share
(--max-total-pending-bytes, --max-memory), nor descriptors: a worker without
free descriptors refuses connections, even if others have some:
  --max-connections N  connections at once (default: what the descriptor limit
                       leaves)
  --max-connections-per-ip N
                       the same from one address, with IPv6 from one /64
                       (default: 32 or a tenth less than --max-connections,
                       whichever leaves more)
  --accept-rate N      connections a second from one address, and twice as many
                       at once (default 10000, or half of --max-connections
                       where that is more)
  --max-frame-bytes B  one frame or message (default 65536)
  --max-topic-bytes B  one topic's name, at most 256 (default 256)
  --max-topics N       topics that one connection may subscribe to (default 128)
  --max-topics-total N topics that have subscribers at once; a topic counts once
                       on each worker that has it (default 100000)
  --max-pending-bytes B
                       bytes that may wait for one connection at once (default
                       8388608)
  --soft-pending-bytes B
                       bytes that may wait for one connection for longer than
                       --soft-pending-time, unless it takes as many in that
                       time (default 1048576)
  --soft-pending-time TIME
                       see --soft-pending-bytes (default 10s)
  --max-total-pending-bytes B
                       memory that all connections together may use, in bytes; a
                       message for many subscribers counts once (default
                       268435456, or a quarter of --max-memory if that is less)
  --max-memory B       memory that the server may take in bytes, garbage
                       included, at least 134217728 for each process (default:
                       three quarters of what the machine or the container has;
                       1 GiB if that isn't known). Near it, the server collects
                       garbage, then reads less, then closes the clients that
                       hold most, then refuses connections

Access (default: every client may publish and subscribe; with addresses and
keys it needs both):
  --publish-from CIDR,...
                       addresses that may publish, such as
                       10.0.0.0/8,2001:db8::/32
  --subscribe-from CIDR,...
                       the same for subscribing
  --publish-from-file FILE
                       further addresses, one on each line; a # begins a comment
  --subscribe-from-file FILE
                       the same for subscribing
  --publish-key-file FILE
                       keys in UTF-8, one on each line. A line that begins with
                       # is a comment; write a key that begins with # as \\#. A
                       client must authenticate with a key before it publishes
  --subscribe-key-file FILE
                       the same for subscribing
  --max-wrong-keys N   wrong keys from one address in a minute; then all its
                       keys, right ones too, are answered slowly (default 10)

Of each connection:
  --publish-rate N     messages a second that it may publish, and as many at
                       once; beyond that it's read no faster, and loses nothing
                       (default: as many as it can while no other waits)
  --publish-bytes-rate B
                       bytes a second that it may send, and as many at once; the
                       same beyond that (default 1073741824)

Deadlines, such as 800ms, 5s, 5m or 1h:
  --write-deadline TIME
                       a connection is closed if it takes no byte of what waits
                       for it for so long (default 10s)
  --ping-after TIME    a client that is silent so long gets a PING (default 30s)
  --idle-timeout TIME  a client that stays silent for so long after a PING is
                       closed; a new connection has as long for its first
                       complete frame (default 30s)
  --legacy-idle-timeout TIME
                       a subscriber that began with <regular-socket/> is closed
                       after so much silence, without a word (default: never)

History, for subscribers that come back:
  --history-time TIME  messages are stored for so long (default 60s; 0 stores
                       none)
  --history-messages N messages of one topic that are stored (default 1000)
  --history-bytes B    bytes of one topic that are stored (default 1048576)
  --history-total-bytes B
                       memory for all stored messages in bytes, of which each
                       worker has its share (default 67108864). It counts within
                       --max-total-pending-bytes, and is given up first
  --history-topics PATTERN,...
                       the topics whose messages are stored; * stands for any
                       run of characters (default *)
  --history-file FILE  a graceful stop writes what is stored there, and the next
                       start reads and removes it, so that a restart loses no
                       client's place (default: none)

Several machines (see docs/cluster.md):
  --cluster URL,...    servers of NATS, such as nats://10.0.0.5:4222, or
                       tls://10.0.0.5:4222 for TLS only. All servers with the
                       same NATS and --cluster-name are one: a message that one
                       accepts reaches the clients of all (default: none). A
                       user, or a token, may stand in front, as in
                       nats://user:password@10.0.0.5, but every user of the
                       machine can then read it: use --cluster-credentials
  --cluster-name NAME  letters, digits, - and _; clusters of different names
                       don't hear each other (default hotwheels)
  --cluster-credentials FILE
                       a user's credentials file of NATS (.creds), or one line:
                       USER:PASSWORD, or a token
  --cluster-ca FILE    certificates of authorities to trust for tls://, as PEM
                       (default: those of the runtime)
  --cluster-log-bytes B
                       memory that each worker may take for what it has sent, so
                       that machines which miss some of it can ask for it
                       (default 67108864)
  --cluster-log-time TIME
                       how long that is kept (default 60s)

Watching it (see docs/operating.md):
  --admin HOST:PORT    answer HTTP there: a live page (/), /metrics for
                       Prometheus, /status.json, /trace, /livez and /readyz.
                       PORT alone means 127.0.0.1, and :0 lets the system choose
                       (default: nowhere)
  --admin-key-file FILE
                       keys, one on each line, of which its clients must show
                       one; needed for an address that other machines reach
  --metrics-topics TOPIC,...
                       topics that /metrics counts by name, 50 at most

Stopping:
  --drain-seconds N    how long it takes to close all connections, one by one
                       (default: a second for every 5000 of them, and 4 at most;
                       0 closes them at once)
  --drain-delay N      seconds for which the server goes on accepting after the
                       signal, while /readyz says that it's stopping, for load
                       balancers that look only now and then (default 0)

Configuration:
  --config FILE        flags in a file: JSON with comments, an object such as
                       { "port": 8081, "publish-from": ["10.0.0.0/8"] }.
                       Relative paths in it begin at its folder
  --print-config       print each flag's value in force and where it is from, as
                       a file for --config, and end. Keys are in files of their
                       own, which are named and not read

Others:
  --log-level LEVEL    debug, info, warning or error: the least that is logged
                       to standard error (default info)
  --log-format FORMAT  text, or json: an object a line, with time, level and
                       message, and where they apply worker, address, port,
                       reason, topic, pending_bytes, age_ms and more (default
                       text)
  -h, --help           print this
  --version            print the version

A flag with a value may also be a variable of the environment, such as
HOTWHEELS_MAX_CONNECTIONS for --max-connections. The command line counts first,
then the environment, then the file. An empty variable counts as none; one that
begins with HOTWHEELS_ and stands for no flag is an error.

A client that passes a limit gets an error frame with the reason and is closed;
no other client is affected. A client of 2009, which begins with
<regular-socket/>, is closed without an error frame.

SIGINT or SIGTERM stops gracefully: the server accepts no more connections,
delivers what it has accepted, tells clients server_shutdown and when to come
back, and ends with status 0, within 10 s, --drain-seconds and --drain-delay. A
second signal, half a second later or more, ends it at once.

SIGHUP reads the files of keys, addresses and the certificate again, and does
nothing else. New connections get the new rules, live ones keep what they have.
A file that can't be read or used is logged, and its old contents stay in force.

SIGUSR2 replaces the workers, one after the other, by what is on disk now. Each
successor serves before its predecessor is asked to end, and clients of the
other workers notice nothing. If a successor doesn't come up, no other worker
is replaced: the log says why, and all serve on. The first process itself stays
as it is, with its flags.

The exit status is 1 when the server can't run here (port in use, no
permission), 2 when the command line is wrong.

Examples:
  deno task -q serve --port 8081 --workers 2
  deno task -q serve --tls-cert server.crt --tls-key server.key
  bun run server/main.ts --publish-key-file keys
`;
