// The page of the admin port. It reads /status.json once a second and writes text only, so that no name
// that a client chose does anything here.
(() => {
  "use strict";

  const INTERVAL_MS = 1000;
  const KEPT_SECONDS = 300;
  const LEAST_SECONDS = 60;
  const MOST_ROWS = 100;
  const MARK_PIXELS = 75;

  const byId = (id) => document.getElementById(id);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // The key that opened the page must not stay in the address line.
  if (location.search !== "") history.replaceState(null, "", location.pathname);

  // ---- Text

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

  function count(n) {
    return n < 1e6 ? whole.format(n) : short.format(n);
  }

  function bytes(n) {
    if (n < 1000) return `${Math.round(n)} B`;
    const [unit, size] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find(([, size]) => n >= size);
    const value = n / size;
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }

  function time(ms) {
    if (ms < 10) return `${ms.toFixed(1)} ms`;
    if (ms < 1000) return `${Math.round(ms)} ms`;
    const s = ms / 1000;
    if (s < 10) return `${s.toFixed(2)} s`;
    if (s < 120) return `${Math.round(s)} s`;
    const m = s / 60;
    if (m < 120) return `${Math.round(m)} min`;
    const h = m / 60;
    return h < 48 ? `${Math.round(h)} h` : `${Math.round(h / 24)} days`;
  }

  /** A client's text, in which nothing is invisible, moves the cursor or turns the line around. */
  function inert(text) {
    return text.replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu,
      (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
    );
  }

  function address(host, port) {
    if (host === "") return "local";
    return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  }

  function set(id, text) {
    const element = byId(id);
    if (element.textContent !== text) element.textContent = text;
  }

  /** Fills a table: each row is cells of [text, class]. */
  function rows(id, list, cellsOf, nothing) {
    const body = byId(id);
    const made = list.slice(0, MOST_ROWS).map((item) => {
      const row = document.createElement("tr");
      for (const [text, kind] of cellsOf(item)) {
        const cell = document.createElement("td");
        cell.textContent = text;
        if (kind !== undefined) cell.className = kind;
        if (kind?.startsWith("text")) cell.title = text;
        row.append(cell);
      }
      return row;
    });
    if (made.length === 0) {
      const row = document.createElement("tr");
      const cell = document.createElement("td");
      cell.className = "empty";
      cell.colSpan = 9;
      cell.textContent = nothing;
      row.append(cell);
      made.push(row);
    }
    body.replaceChildren(...made);
  }

  // ---- Charts

  const history_ = {
    times: [],
    large: [],
    p50: [],
    p99: [],
    max: [],
    connections: [],
    deliveries: [],
    held: [],
    delay: [],
  };

  function remember(values) {
    for (const [name, list] of Object.entries(history_)) {
      list.push(values[name] ?? null);
      if (list.length > KEPT_SECONDS) list.shift();
    }
  }

  function axes(format) {
    const stroke = color("--muted");
    const grid = { stroke: color("--grid"), width: 1 };
    const common = { stroke, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return [
      {
        ...common,
        size: 24,
        splits: timeMarks,
        values: (plot, splits) => splits.map((at) => ago(plot, at)),
      },
      { ...common, size: 52, space: 28, values: (_, splits) => splits.map(format) },
    ];
  }

  /** The time of a point before the last one. */
  function ago(plot, at) {
    const seconds = Math.round(plot.scales.x.max - at);
    if (seconds < 2) return "now";
    if (seconds < 60) return `−${seconds} s`;
    const rest = seconds % 60;
    const minutes = Math.floor(seconds / 60);
    return rest === 0 ? `−${minutes} min` : `−${minutes}:${String(rest).padStart(2, "0")}`;
  }

  /** The places of the marks on the time axis, counted from its end. */
  function timeMarks(plot, _axis, min, max) {
    const span = max - min;
    const most = Math.max(1, plot.width / MARK_PIXELS);
    const step = [15, 30, 60, 150, 300].find((seconds) => span / seconds <= most) ?? 300;
    const marks = [];
    for (let at = max; at >= min; at -= step) marks.unshift(at);
    return marks;
  }

  /** Draws the second that the server promises. */
  function drawPromise(plot) {
    const y = Math.round(plot.valToPos(1000, "y", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = color("--bad");
    ctx.fillStyle = color("--bad");
    ctx.lineWidth = devicePixelRatio * 1.5;
    ctx.setLineDash([devicePixelRatio * 10, devicePixelRatio * 4]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.fillText("one second", bbox.left + bbox.width, y - 6 * devicePixelRatio);
    ctx.restore();
  }

  const charts = [
    {
      id: "fanout-chart",
      height: () => innerWidth < 760 ? 200 : 250,
      series: ["p50", "p99", "max", "large"],
      make: () => ({
        scales: { y: { distr: 3, range: (_, min, max) => fanoutRange(min, max) } },
        axes: axes((ms) => ms === null ? "" : ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`).map(
          (axis, at) =>
            at === 0 ? axis : { ...axis, filter: (_, splits) => splits.map(isPowerOfTen) },
        ),
        series: [
          {},
          { stroke: color("--p50"), width: 2, spanGaps: false, points: { show: false } },
          { stroke: color("--p99"), width: 2, dash: [8, 3], points: { show: false } },
          { stroke: color("--max"), width: 2, dash: [2, 3], points: { show: false } },
          {
            stroke: color("--accent"),
            width: 0,
            points: { show: true, size: 6, fill: color("--accent") },
          },
        ],
        hooks: { draw: [drawPromise] },
      }),
    },
    small("connections-chart", "connections", count),
    small("deliveries-chart", "deliveries", (n) => short.format(n)),
    small("held-chart", "held", bytes),
    small("delay-chart", "delay", (ms) => time(ms)),
  ];

  function isPowerOfTen(value) {
    return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9 ? value : null;
  }

  function fanoutRange(min, max) {
    return [(min ?? 1) < 1 ? 0.1 : 1, Math.max(3000, (max ?? 0) * 1.2)];
  }

  function small(id, name, format) {
    return {
      id,
      height: () => 110,
      series: [name],
      make: () => ({
        scales: { y: { range: (_, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
        axes: axes(format),
        series: [{}, {
          stroke: color("--p50"),
          width: 2,
          fill: color("--fill"),
          points: { show: false },
        }],
      }),
    };
  }

  function dataOf({ series }) {
    return [history_.times, ...series.map((name) => history_[name])];
  }

  function draw() {
    for (const chart of charts) {
      const box = byId(chart.id);
      const width = box.clientWidth;
      if (chart.plot === undefined) {
        const options = {
          width,
          height: chart.height(),
          legend: { show: false },
          cursor: { show: false },
          padding: [10, 12, 0, 0],
          ...chart.make(),
        };
        options.scales.x = {
          time: false,
          range: (_, min, max) => {
            const end = max ?? Date.now() / 1000;
            const span = Math.min(KEPT_SECONDS, Math.max(LEAST_SECONDS, end - (min ?? end)));
            return [end - span, end];
          },
        };
        chart.plot = new uPlot(options, dataOf(chart), box);
      } else {
        if (chart.plot.width !== width) chart.plot.setSize({ width, height: chart.height() });
        chart.plot.setData(dataOf(chart));
      }
    }
  }

  /** Makes the charts anew, in the colors of the theme. */
  function redraw() {
    for (const chart of charts) {
      chart.plot?.destroy();
      chart.plot = undefined;
    }
    draw();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", draw);

  // ---- What the server says

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

  // ---- Once a second

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
})();
