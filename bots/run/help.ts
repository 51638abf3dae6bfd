/** The text of `--help`. */
export const HELP = `Hotwheels bots: connect n clients, publish one message, and measure when
the last of them has it.

Usage:
  hotwheels bots [n] [host] [port] [flags]
  deno task -q bots [n] [host] [port] [flags]
  bun run bots/main.ts [n] [host] [port] [flags]
  hotwheels bots --agent [HOST:]PORT --key-file FILE [flags of an agent]

  n                how many bots (default 1)
  host             the server's name or address (default localhost); or
                   ws://host:port for its port for WebSockets, wss:// with TLS;
                   or nats://host:port or redis://host:port for a server that
                   speaks another protocol
  port             its port (default 8081), also as host:port

Flags:
  --rounds R       publish R messages, one after another (default 1)
  --topic TOPIC    subscribe and publish to TOPIC (default events)
  --data TEXT      the message's data (default test)
  --size BYTES     data of that many bytes instead
  --timeout TIME   how long a bot waits for a message, such as 800ms, 5s or 1m
                   (default 5s)
  --retries N      how often a bot that can't get subscribed tries again
                   (default 20); forever: until Ctrl-C, also a bot that lost
                   its subscription, as the bots of 2009 did
  --processes P    share the bots among P processes; auto (the default) takes as
                   many as the descriptor limit and the cores call for, and one
                   for fewer than 2,000 bots
  --spread K       connect to K consecutive loopback addresses from the given
                   one on, to get past the port range (some 28,000 connections
                   for each address); auto (the default) does so where the
                   server is on this machine, n calls for it and they answer
  --tls            speak TLS with the server, whose certificate must be for host
  --ca FILE        accept this certificate authority too (PEM); a self-signed
                   certificate is its own authority
  --key-file FILE  show the server the first key in FILE, as clients of today
                   can; twice where publishing and subscribing take one each
  --key KEY        the same with the key itself; every user of this machine
                   can read it in the list of processes
  --slo TIME       fail unless every message reached its last bot within TIME,
                   such as 1s
  --storm          publish nothing, but wait until the bots lose their
                   connections, as when the server is restarted, and measure
                   how they come back
  --resume         with --storm: the bots come back with their positions, and
                   from the first loss on messages are published, --rounds R
                   (default 100); measure what they missed, and when the last
                   of them has it
  --every TIME     time from one of these messages to the next (default 20ms)
  --cut            with --storm: break all connections from here, at once,
                   instead of waiting for the server
  --admin URL      with --storm: measure the server's processor time, too, by
                   its admin port, such as http://127.0.0.1:8082
  --admin-key-file FILE
                   show the admin port the first key in FILE
  --json FILE      write the report as JSON to FILE too; - for standard output,
                   which sends the text to standard error
  --verbose        print more: how the bots subscribed, each round's counts,
                   and how busy the bots were

Bots on other machines:
  --agents HOST:PORT,...
                   share the bots among these agents; this machine publishes.
                   With it --key-file is the file with the agents' key
  --agents-tls     speak TLS with the agents, whose certificates must be for
                   their hosts
  --agents-ca FILE accept this certificate authority of theirs too (PEM)
  --server-key-file FILE
                   with --agents: show the server the first key in FILE

As an agent, which waits for leaders and runs bots for one at a time:
  --agent [HOST:]PORT
                   listen there (default host: 0.0.0.0; port 0: any)
  --key-file FILE  serve leaders that prove the first key in FILE, which neither
                   side sends; openssl rand -hex 32 makes one
  --may-dial CIDR,...
                   addresses of servers that its bots may connect to (default:
                   loopback and private ones)
  --tls-cert FILE  speak TLS with this certificate, and those up to its root
  --tls-key FILE   its private key, as PEM

  -h, --help       print this
  --version        print the version

A bot connects (within 3 s; it tries again after a random 1-100 ms, and after up
to 2 s from the 20th time on), subscribes, and checks each message byte by byte.
When all are subscribed and nothing arrives any more, one more connection
publishes.
Latencies are exact, by nearest rank over all samples, and come by two clocks:
from the server's timestamp in the message, and from the publish to the arrival,
both on this machine.

With agents no message is published before all bots of all agents are
subscribed. Their clocks are compared with the leader's before the first message
and after the last one, and latencies corrected by that; the report says how
exactly, and marks a run whose error is more than 5 % of the last arrival. The
server's host must be one that the agents can reach too.

In a storm, a bot that lost its connection comes back when the server told it to
(retry_after_ms), or else after a random time of up to 0.5 s, which doubles with
each failure, to 10 s at most. With --resume each bot to whom the server said
that nothing is lost (recovered) must have every message, once.

The exit status is 0 when every bot received every message, once, intact and in
time, and --slo held, or when all came back from the storm and got what the
server promised; 1 when not, or when the run couldn't take place; 2 when the
command line is wrong; 3 when the run is invalid, which makes it no measure of
the server: a bot never subscribed, or the bots themselves held messages up. A
run that lost an agent ends with 1.

Examples:
  deno task -q bots 5000
  deno task -q bots 20000 10.0.0.7 8081 --rounds 5 --slo 1s
  deno task -q bots 5000 127.0.0.1 --storm --resume --cut
  bun run bots/main.ts 100000 127.0.0.1 --spread 4 --json report.json
  hotwheels bots --agent 9090 --key-file agents.key
  hotwheels bots 40000 10.0.0.7 8081 --agents 10.0.0.8:9090,10.0.0.9:9090 \\
    --key-file agents.key
`;
