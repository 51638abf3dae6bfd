// The page of the admin port: it reads /status.json once a second, and shows what the server says.

const INTERVAL_MS = 1000;

// The key that opened the page must not stay in the address line.
if (location.search !== "") history.replaceState(null, "", location.pathname);

let before;

function rate(now, valueOf) {
  if (before === undefined) return null;
  const seconds = (now.time_ms - before.time_ms) / 1000;
  const [from, to] = [valueOf(before), valueOf(now)];
  return seconds > 0 && from !== undefined && to !== undefined ? (to - from) / seconds : null;
}

function meanDelay(now) {
  const sum = rate(now, ({ counts }) => counts?.loop_delay_seconds.sum);
  const samples = rate(now, ({ counts }) => counts?.loop_delay_seconds.count);
  return samples ? sum / samples * 1000 : null;
}

function show(now) {
  const { fanout, gauges, limits, workers } = now;
  const up = workers.filter(({ is_up }) => is_up).length;
  const started = Math.min(
    ...[now.supervisor, ...workers.map((one) => one.process)].flatMap((one) =>
      one?.started_ms ?? []
    ),
  );
  const kind = now.runtime === "bun" ? "Bun" : "Deno";
  set(
    "about",
    `${now.version} on ${kind} ${now.runtime_version}` +
      (now.supervisor === null ? "" : ` · ${up} of ${workers.length} workers up`) +
      (Number.isFinite(started) ? ` · up for ${time(now.time_ms - started)}` : "") +
      (now.restarts > 0 ? ` · ${count(now.restarts)} restarts` : ""),
  );
  const state = byId("state");
  state.className = now.is_ready ? "good" : "bad";
  set(
    "state",
    now.is_ready ? "● ready" : `▲ ${now.phase === "draining" ? "stopping" : "not ready"}`,
  );
  document.title = `${now.is_ready ? "" : "▲ "}Hotwheels`;
  trouble(now.is_ready ? "" : now.reasons.join("; "));

  const { last, last_large: large } = fanout;
  set("large", large === null ? "–" : time(large.took_ms));
  byId("large").classList.toggle("late", large !== null && large.took_ms > 1000);
  set("last", last === null ? "–" : time(last.took_ms));
  set(
    "large-detail",
    large === null
      ? "no pass in the last minute"
      : `${count(large.subscribers)} subscriber${large.subscribers === 1 ? "" : "s"}, ` +
        `${time(Math.max(0, now.time_ms - large.ended_ms))} ago`,
  );
  for (const name of ["p50", "p99", "max"]) {
    const ms = fanout[`${name}_ms`];
    set(name, ms === null ? "–" : time(ms));
  }
  set("over", `${count(fanout.over_one_second)} of ${count(fanout.passes)}`);

  const deliveries = rate(now, ({ counts }) => counts?.deliveries);
  const messages = rate(now, ({ counts }) => counts?.messages_in);
  const delay = meanDelay(now);
  const worst = Math.max(0, ...workers.map((one) => one.process?.loop_delay_ms ?? 0));
  if (gauges !== null) {
    set("connections", count(gauges.connections));
    set("connections-max", `of ${count(limits.max_connections)}`);
    byId("connections-meter").value = gauges.connections / limits.max_connections;
    set("held", bytes(gauges.held_bytes));
    set("held-max", `of ${bytes(limits.max_total_pending_bytes)}`);
    byId("held-meter").value = gauges.held_bytes / limits.max_total_pending_bytes;
  }
  set("deliveries", deliveries === null ? "–" : count(deliveries));
  set("messages", messages === null ? "" : `from ${count(messages)} messages`);
  set("delay", delay === null ? "–" : time(delay));
  set("delay-of", `${time(worst)} last`);

  remember({
    times: now.time_ms / 1000,
    large: large !== null && large.ended_ms > (before?.time_ms ?? 0) ? large.took_ms : null,
    p50: fanout.p50_ms,
    p99: fanout.p99_ms,
    max: fanout.max_ms,
    connections: gauges?.connections,
    deliveries,
    held: gauges?.held_bytes,
    delay,
  });
  showTables(now);
  draw();
  before = now;
}

function showTables(now) {
  const workerBefore = (name) => before?.workers.find((one) => one.name === name);
  rows("workers", now.workers, ({ name, is_up, trouble, process, counts, gauges }) => {
    const old = workerBefore(name);
    const perSecond = (valueOf) => {
      const seconds = (now.time_ms - (before?.time_ms ?? NaN)) / 1000;
      return counts && old?.counts && seconds > 0
        ? (valueOf(counts) - valueOf(old.counts)) / seconds
        : null;
    };
    const delivered = perSecond((one) => one.deliveries);
    const cpu = perSecond((one) => one.cpu_seconds);
    return [
      [name],
      [is_up ? "up" : trouble, is_up ? "up" : "down"],
      [gauges ? count(gauges.connections) : "–", "n"],
      [delivered === null ? "–" : count(delivered), "n"],
      [gauges ? bytes(gauges.held_bytes) : "–", "n"],
      [process ? time(process.loop_delay_ms) : "–", "n"],
      [cpu === null ? "–" : `${Math.round(cpu * 100)} %`, "n"],
      [process ? bytes(process.resident_bytes) : "–", "n"],
      [process ? count(process.open_descriptors) : "–", "n"],
    ];
  }, "none");

  byId("cluster").hidden = now.cluster === undefined;
  if (now.cluster !== undefined) {
    const { is_connected, counts, members } = now.cluster;
    set(
      "cluster-state",
      `${is_connected ? "NATS connected" : "NATS is away"}, ${count(counts.refills)} refills, ` +
        `${count(counts.holes)} holes`,
    );
    rows("members", members, (one) => [
      [one.machine],
      [inert(one.address), "text grow"],
      [one.is_there ? "up" : "silent", one.is_there ? "up" : "down"],
      [count(one.workers), "n"],
      [time(one.lag_ms), "n"],
      [count(one.refills), "n"],
      [count(one.holes), "n"],
    ], "none");
  }

  set("slow-count", now.slow_subscribers.length >= MOST_ROWS ? `the ${MOST_ROWS} slowest` : "");
  rows("slow", now.slow_subscribers, (one) => [
    [address(one.address, one.port), "text"],
    [topicsText(one), "text grow"],
    [bytes(one.pending_bytes), "n"],
    [time(one.stalled_ms), "n"],
    [time(one.age_ms), "n"],
  ], "none: all keep up");

  const ended = Object.entries({ ...now.counts?.ended, worker_lost: now.lost_sessions })
    .filter(([, number]) => number > 0).sort((a, b) => b[1] - a[1]);
  const most = ended[0]?.[1] ?? 1;
  byId("ended").replaceChildren(
    ...(ended.length === 0 ? [["none", 0]] : ended).map(([reason, number]) => {
      const item = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = reason;
      const bar = document.createElement("progress");
      bar.max = most;
      bar.value = number;
      bar.setAttribute("aria-hidden", "true");
      const value = document.createElement("span");
      value.textContent = count(number);
      item.append(name, bar, value);
      return item;
    }),
  );

  rows("topics", now.topics_by_subscribers, (one) => [
    [inert(one.topic), "text grow"],
    [count(one.subscribers), "n"],
    [count(one.deliveries), "n"],
  ], "none");

  const paused = Object.values(now.paused_by_gate).reduce((sum, number) => sum + number, 0);
  set("paused-count", paused === 0 ? "" : `${count(paused)} in all`);
  rows("paused", now.paused_publishers, (one) => [
    [address(one.address, one.port), "text"],
    [one.gate.replaceAll("_", " ")],
    [bytes(one.waiting_bytes), "n"],
  ], "none");

  const gone = now.counts?.ended.slow_consumer ?? 0;
  set("gone-count", gone === 0 ? "" : `${count(gone)} in all`);
  rows("gone", now.slow_consumers_ended, (one) => [
    [address(one.remote_address, one.remote_port), "text"],
    [one.topic === null ? "–" : inert(one.topic), "text grow"],
    [bytes(one.pending_bytes), "n"],
    [time(Math.max(0, now.time_ms - one.ended_ms)), "n"],
  ], "none");
}

function topicsText({ topics, topic_count }) {
  const shown = topics.map(inert).join(", ");
  return topic_count > topics.length ? `${shown} and ${topic_count - topics.length} more` : shown;
}

function trouble(text) {
  set("trouble", text);
  byId("trouble").hidden = text === "";
}

let answeredMs = Date.now();

async function ask() {
  try {
    const response = await fetch("status.json", {
      cache: "no-store",
      signal: AbortSignal.timeout(5000),
    });
    if (response.status === 401) {
      throw new Error("the server wants a key: open this page with ?key=KEY");
    }
    if (response.status === 429) throw new Error("the server is asked too often; waiting");
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    show(await response.json());
    answeredMs = Date.now();
  } catch (error) {
    const silent = Math.round((Date.now() - answeredMs) / 1000);
    const state = byId("state");
    state.className = "bad";
    set("state", "▲ no answer");
    document.title = "▲ Hotwheels";
    trouble(`${error.message}; what is shown is ${silent} s old`);
  }
}

async function run() {
  for (;;) {
    const beganMs = performance.now();
    await ask();
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(100, INTERVAL_MS - (performance.now() - beganMs)))
    );
  }
}

run();
