/* One asset: how it stands and what to do, score and sensors over time, who contributes, and where it lies. */

import { act } from "../actions.js";
import { chart, plotly, purge } from "../charts.js";
import { attribute, badge, el, put, text } from "../dom.js";
import { History } from "../history.js";
import { asked, isUtc, useUtc, when, zone } from "../times.js";
import { ago, assetName, assetPlace, duration, LIVES, number, percent, plain, reason, state, withUnit } from "../words.js";
import { inWords, mostly, plane, scores, sensor } from "./asset_charts.js";
import { addressOf, severityOf } from "./incidents.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const RANGES = [["15m", "15 min", 15 * MINUTE], ["1h", "1 h", HOUR], ["6h", "6 h", 6 * HOUR], ["24h", "24 h", DAY], ["7d", "7 d", 7 * DAY], ["30d", "30 d", 30 * DAY], ["all", "all", null]];
const ROW_BY_ROW = 6 * HOUR; // up to which the charts go on with every row
const AGAIN_MS = 20_000; // after which longer ones, and what stands around the charts, are asked for anew
const SOON_MS = 2000; // the same, where an incident began or ended
const REST_MS = 1900; // between two looks at new rows: drawing is what takes a browser's time
const FIRST = 6; // sensors that are shown at once
const MOST_POINTS = 600;
const SHORTEST = 10_000; // ms that can be zoomed to

export async function show(root, [key, given], page) {
  page.title(assetName(key));
  let range = ranged(given) ?? { name: "1h", span: HOUR };
  let history = null;
  let map = null;
  let planeNow = 1; // how it deviates
  let loaded = 0;
  let rested = 0;
  let busy = false;
  let number_ = 0; // of the latest question: an answer to an older one is no longer wanted
  let shownSensors = FIRST;
  const charts = new Map(); // node -> what draws it

  const nodes = {
    badge: el("span"), now: el("div", { class: "stack" }), figures: el("dl", { class: "figures" }),
    score: el("div", { class: "chart", role: "img" }), sensors: el("div", { class: "sensors" }), none: el("p", { class: "dim", hidden: true }, "No row of it lies in this range: take a longer one, or wait for its first."), more: el("button", { type: "button", hidden: true, onclick: showMore }),
    bars: el("div"), map: el("div", { class: "chart map", role: "img" }), mapWords: el("p", { class: "dim" }),
    mapKey: el("p", { class: "key dim" }, el("i", { class: "mark dot" }), "training ", el("i", { class: "mark diamond" }), "this asset, the stronger the newer ", el("i", { class: "mark ring" }), "newest"), planes: el("div", { class: "segments", role: "group", "aria-label": "What the map shows" }),
    ranges: el("div", { class: "segments", role: "group", "aria-label": "Range" }), whole: el("span", { class: "dim" }), gaps: el("div"), past: el("div"),
  };
  const utc = el("button", { type: "button", class: "quiet", onclick: () => { useUtc(!isUtc()); drawZone(); drawAll(); } });
  put(nodes.ranges, RANGES.map(([name, words, span]) => el("button", { type: "button", dataset: { range: name }, onclick: () => go({ name, span }) }, words)));
  put(root,
    el("div", { class: "view-head" }, el("h1", {}, assetName(key)), el("span", { class: "dim" }, assetPlace(key)), nodes.badge, el("div", { class: "actions" }, actions())),
    el("section", { class: "card stack", "aria-label": "How it stands" }, nodes.now, nodes.figures),
    el("div", { class: "view-head range" }, nodes.ranges,
      el("div", { class: "segments", role: "group", "aria-label": "Move the range" }, el("button", { type: "button", onclick: () => move(-0.5, 1) }, "Earlier"), el("button", { type: "button", onclick: () => move(0.5, 1) }, "Later"), el("button", { type: "button", onclick: () => move(0, 0.5) }, "Closer"), el("button", { type: "button", onclick: () => move(0, 2) }, "Wider")),
      nodes.whole, utc),
    el("section", { class: "card", "aria-labelledby": "score-title" }, el("h2", { id: "score-title" }, "Score and threshold"), nodes.score,
      el("p", { class: "key dim" }, el("i", { class: "mark line" }), "score, with its lowest and highest ", el("i", { class: "mark dashed critical" }), "threshold ", el("i", { class: "mark span warning" }), "incident ", el("i", { class: "mark span idle" }), "not scored. Drag over a chart to zoom.")),
    el("div", { class: "columns" },
      el("section", { class: "card", "aria-labelledby": "bars-title" }, el("h2", { id: "bars-title" }, "Which sensors say so"), nodes.bars),
      el("section", { class: "card", "aria-labelledby": "map-title" }, el("div", { class: "view-head" }, el("h2", { id: "map-title" }, "Against the training windows"), nodes.planes), nodes.map, nodes.mapKey, nodes.mapWords)),
    el("section", { "aria-labelledby": "sensors-title" }, el("h2", { id: "sensors-title" }, "Sensors"),
      el("p", { class: "key dim" }, el("i", { class: "mark line" }), "actual ", el("i", { class: "mark dotted" }), "expected by the other sensors ", el("i", { class: "mark span idle" }), "where 99 of 100 training windows were ", el("i", { class: "mark span warning" }), "incident; of the sensor itself, dashed"),
      nodes.none, nodes.sensors, el("p", { class: "row" }, nodes.more)),
    el("div", { class: "columns" },
      el("section", { class: "card", "aria-labelledby": "past-title" }, el("h2", { id: "past-title" }, "Incidents in this range"), nodes.past),
      el("section", { class: "card", "aria-labelledby": "gaps-title" }, el("h2", { id: "gaps-title" }, "Not scored, and why"), nodes.gaps)));

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      target.dataset.seen = isIntersecting ? "yes" : "no";
      if (isIntersecting) drawChart(target);
    }
  }, { rootMargin: "200px" });
  place(nodes.score, () => scores(history), () => inWords(history));
  place(nodes.map, () => plane(map.planes[planeNow], map.time), () => "where the newest windows lie against those of the training");
  drawZone();
  plotly().catch(() => null); // comes beside what is to be drawn; the first chart tells where it cannot be had
  await load();

  /* -- what is asked for ------------------------------------------------------------------------------------------ */

  function question(of = range) {
    const query = new URLSearchParams();
    if (of.from !== undefined) {
      query.set("from", String(of.from));
      query.set("to", String(of.to));
    } else if (of.span === null) query.set("from", "0");
    else query.set("span", String(of.span));
    return query;
  }

  /* The charts, with the sensors that are shown; `anew` with those that have most to say by now. */
  async function load(anew = false) {
    const mine = (number_ += 1);
    busy = true;
    loaded = Date.now();
    try {
      const query = question();
      query.set("points", String(Math.max(100, Math.min(MOST_POINTS, Math.round((nodes.score.clientWidth || 600) / 2)))));
      if (history && !anew) for (const each of history.sensors.slice(0, Math.max(shownSensors, FIRST))) query.append("sensor", each.name);
      const path = `api/v1/assets/${encodeURIComponent(key)}`;
      const [found, placed] = await Promise.all([page.get(`${path}?${query}`), page.get(`${path}/map?${question()}`)]);
      if (mine !== number_) return;
      const order = anew ? null : history?.sensors.map((each) => each.name);
      history = new History(found);
      if (order) history.sensors.sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
      map = placed;
      drawAll();
    } finally {
      if (mine === number_) busy = false;
    }
  }

  async function goOn() {
    busy = true;
    rested = Date.now();
    const mine = number_;
    try {
      const rows = await page.get(`api/v1/assets/${encodeURIComponent(key)}/rows?after=${history.position}`);
      if (mine !== number_) return;
      if (rows.behind) await load();
      else if (history.take(rows)) {
        drawCharts();
        drawBars();
      }
    } finally {
      if (mine === number_) busy = false;
    }
  }

  function go(wanted) {
    range = wanted;
    const name = wanted.name ?? `${wanted.from}-${wanted.to}`;
    window.history.replaceState(null, "", `#/asset/${encodeURIComponent(key)}/${name}`);
    load().catch(tell);
  }

  /* By how much of its length the range goes on, and how many times as long it becomes. */
  function move(by, times) {
    if (!history) return;
    const length = history.to - history.from;
    const middle = history.from + length * (0.5 + by);
    const half = Math.max(SHORTEST, length * times) / 2;
    go({ from: Math.max(1, Math.round(middle - half)), to: Math.round(middle + half) });
  }

  /* -- drawing ---------------------------------------------------------------------------------------------------- */

  function place(node, of, words) {
    charts.set(node, { of, words });
    seen.observe(node);
  }

  function drawChart(node) {
    const { of, words } = charts.get(node) ?? {};
    if (!history || !of || (node === nodes.map && !map?.planes.length)) return;
    const made = of();
    attribute(node, "aria-label", words());
    chart(node, made.traces, made.layout, { doubleClick: false }).then((drawn) => {
      if (drawn.dataset.bound || !drawn.on) return;
      drawn.dataset.bound = "yes";
      if (node === nodes.map) return;
      drawn.on("plotly_relayout", (change) => {
        const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
        if (from === undefined || to === undefined) return;
        const [first, last] = [asked(from), asked(to)];
        if (last - first >= SHORTEST) go({ from: Math.round(first), to: Math.round(last) });
        else drawChart(node);
      });
      drawn.on("plotly_doubleclick", () => go({ name: "1h", span: HOUR }));
    }).catch(tell);
  }

  function drawCharts() {
    for (const node of charts.keys()) if (node.dataset.seen === "yes") drawChart(node);
  }

  function drawAll() {
    if (!history) return;
    drawNow(page.live);
    drawRange();
    drawSensors();
    drawBars();
    drawMap();
    drawPast();
    drawGaps();
    drawCharts();
  }

  function drawZone() {
    text(utc, `Times: ${zone()}`);
    attribute(utc, "aria-label", `Times are in ${zone()}; show them in ${isUtc() ? "this browser's zone" : "UTC"}`);
  }

  function drawRange() {
    for (const button of nodes.ranges.children) attribute(button, "aria-pressed", String(button.dataset.range === range.name));
    text(nodes.whole, `${when(history.from)} – ${when(history.to)}, a point is ${width(history.width)}`);
  }

  function drawSensors() {
    const wanted = history.sensors.slice(0, shownSensors);
    nodes.none.hidden = wanted.length > 0;
    const there = new Map([...nodes.sensors.children].map((node) => [node.dataset.sensor, node]));
    const panels = wanted.map((each) => {
      const panel = there.get(each.name) ?? panelOf(each);
      const faults = history.incidents.filter((incident) => incident.sensor === each.name);
      const worst = faults.find((incident) => incident.open) ?? faults.at(0);
      put(panel.querySelector(".said"), worst && badge(severityOf(worst), worst.open ? worst.title : `was ${worst.title.replace(plain(each.name), "").trim()}`));
      return panel;
    });
    for (const [name, panel] of there) {
      if (!wanted.some((each) => each.name === name)) drop(panel);
    }
    if (panels.some((panel, at) => nodes.sensors.children[at] !== panel)) put(nodes.sensors, panels);
    const left = history.sensors.length - wanted.length + history.others.length;
    nodes.more.hidden = left <= 0;
    text(nodes.more, left === 1 ? "One more sensor" : `${left} more sensors`);
  }

  function panelOf(of) {
    const node = el("div", { class: "chart small", role: "img" });
    const now = () => history.sensors.find((each) => each.name === of.name) ?? of;
    place(node, () => sensor(history, now()), () => inWords(history, now()));
    return el("section", { class: "card", dataset: { sensor: of.name } }, el("div", { class: "view-head" }, el("h3", {}, of.words || plain(of.name), of.unit && of.unit !== "1" && el("small", {}, ` ${of.unit}`)), el("span", { class: "said" })), node);
  }

  function drop(panel) {
    const node = panel.querySelector(".chart");
    seen.unobserve(node);
    charts.delete(node);
    purge(node);
    panel.remove();
  }

  async function showMore() {
    if (history.sensors.length <= shownSensors) {
      const query = question();
      query.set("points", String(history.time.length));
      for (const each of [...history.sensors, ...history.others.slice(0, 2 * FIRST)]) query.append("sensor", each.name);
      const found = await page.get(`api/v1/assets/${encodeURIComponent(key)}?${query}`);
      const known = history.sensors.map((each) => each.name);
      const at = (name) => (known.includes(name) ? known.indexOf(name) : known.length);
      history = new History(found);
      history.sensors.sort((one, other) => at(one.name) - at(other.name));
    }
    shownSensors = history.sensors.length > shownSensors ? history.sensors.length : shownSensors;
    drawSensors();
    drawCharts();
  }

  function drawBars() {
    const told = history.contributions;
    if (!told) {
      put(nodes.bars, el("p", { class: "dim" }, "Nothing was scored lately, so no sensor says anything."));
      return;
    }
    const words = new Map([...history.sensors, ...history.others].map((each) => [each.name, each.words]));
    const threshold = page.live.assets.get(key)?.threshold ?? history.now?.threshold ?? null;
    const most = Math.max(1.2 * (threshold ?? 0), ...told.of.map((each) => each.contribution ?? 0), 1e-9);
    const shown = told.of.filter((each) => each.contribution !== null).slice(0, 12);
    put(nodes.bars,
      el("p", { class: "dim" }, `Each sensor's own part of the score at ${when(told.time)}${threshold === null ? "" : `; the mark is the threshold, ${number(threshold)}`}.`),
      el("ul", { class: "bars" }, shown.map(({ name, contribution }) => {
        const over = threshold !== null && contribution > threshold;
        const bar = el("span", { class: "bar-fill", dataset: { tone: over ? "critical" : "busy" } });
        bar.style.width = `${(100 * contribution) / most}%`;
        const mark = threshold !== null && el("span", { class: "bar-mark" });
        if (mark) mark.style.left = `${(100 * threshold) / most}%`;
        return el("li", {}, el("span", {}, words.get(name) ?? plain(name)), el("span", { class: "bar-room", "aria-hidden": "true" }, bar, mark), el("span", { class: "number" }, number(contribution), over && el("span", { class: "visually-hidden" }, " above the threshold")));
      })));
  }

  function drawMap() {
    nodes.map.hidden = !map.planes.length;
    nodes.planes.hidden = !map.planes.length;
    nodes.mapKey.hidden = !map.planes.length;
    if (!map.planes.length) {
      text(nodes.mapWords, map.why);
      return;
    }
    if (nodes.planes.childElementCount !== map.planes.length) {
      put(nodes.planes, map.planes.map((each, at) => el("button", { type: "button", onclick: () => { planeNow = at; drawMap(); drawChart(nodes.map); } }, each.name)));
    }
    [...nodes.planes.children].forEach((button, at) => attribute(button, "aria-pressed", String(at === planeNow)));
    const of = map.planes[planeNow];
    text(nodes.mapWords, map.time.length
      ? `${of.words[0].toUpperCase()}${of.words.slice(1)}, beside ${map.windows.toLocaleString("en-GB")} training windows. Across: mostly ${mostly(of, 0)} (${percent(of.shares[0])} of how they differ); upwards: ${mostly(of, 1)} (${percent(of.shares[1])}). Each point of the asset is ${width(map.width)}.`
      : "No row of the asset lies in this range.");
  }

  function drawPast() {
    put(nodes.past, history.incidents.length
      ? el("ul", { class: "plain" }, history.incidents.slice(0, 20).map((each) => el("li", {}, el("a", { href: addressOf(each) }, each.title), " ", badge(each.open ? severityOf(each) : LIVES[each.state] ?? LIVES.cleared), el("small", { class: "block" }, `${when(each.from)}${each.to === null ? ", still open" : `, for ${duration(each.to - each.from)}`}`))))
      : el("p", { class: "dim" }, "There was none."));
  }

  function drawGaps() {
    const covered = history.coverage;
    const day = covered && el("p", {}, `In the last 24 h ${percent(covered.share)} of the time was scored`, covered.share_running === null ? "" : `, of its running time ${percent(covered.share_running)}`, ".");
    const latest = history.gaps.slice(-12).reverse();
    put(nodes.gaps, day, latest.length
      ? el("ul", { class: "plain" }, latest.map((each) => el("li", {}, reason(each.reason), el("small", { class: "block" }, `${when(each.from)}, for ${duration(each.to - each.from)}`))))
      : el("p", { class: "dim" }, history.score.rows.some((each) => each) ? "All of this range was scored, as far as is known." : "Nothing is known of this range."));
  }

  /* What is wrong, since when, which sensor says so, what to do. */
  function drawNow(live) {
    const row = live.assets.get(key);
    const told = row ?? history?.now;
    put(nodes.badge, row ? badge(state(row.state)) : badge(state("")));
    const open = history?.open ?? [];
    put(nodes.now, open.length ? open.map(wrong) : el("p", {}, well(row ?? told)));
    if (!told) return;
    const drift = told.drift && (told.drift.stands === "not yet" ? "not known yet" : told.drift.stands);
    put(nodes.figures, figures([
      ["Score", row ? number(row.score) : "–", told.threshold === null ? "not judged" : `threshold ${number(told.threshold)}`],
      ["Regime", plain(told.regime) || "–"],
      ["Model", told.model || "none", told.class],
      ["Fits its model", drift ?? "–", told.drift?.why?.[0]],
      ["Scored, 24 h", percent(row?.coverage?.share ?? history?.coverage?.share ?? null), Object.entries(history?.coverage?.reasons ?? {}).slice(0, 2).map(([why, share]) => `${reason(why)} ${percent(share)}`).join(", ")],
      ["Last heard", ago(told.heard)],
    ]));
  }

  function wrong(each) {
    return el("div", { class: "wrong", dataset: { tone: each.severity === "critical" ? "critical" : "warning" } },
      el("div", { class: "row" }, badge(severityOf(each)), el("strong", {}, el("a", { href: addressOf(each) }, each.title)), el("span", { class: "dim" }, `since ${when(each.from)}, ${duration(Date.now() - each.from)}`), each.state !== "firing" && badge(LIVES[each.state] ?? LIVES.fired)),
      el("p", {}, each.summary), el("p", { class: "dim" }, each.to_do),
      each.state === "firing" && el("div", { class: "row" }, el("button", { type: "button", class: "primary", onclick: () => carryOut("acknowledge", { incident: each.id, asset: key, name: `${each.title} of ${assetName(key)}` }) }, "Acknowledge"), el("a", { class: "button", href: addressOf(each) }, "Everything of it")));
  }

  function actions() {
    const about = { asset: key, name: assetName(key) };
    const under = () => page.live.assets.get(key)?.maintenance;
    return [
      el("button", { type: "button", onclick: () => carryOut(under() ? "maintained" : "maintenance", about) }, "Maintenance …"),
      el("button", { type: "button", onclick: () => carryOut("accept", about) }, "Accept as new normal …"),
    ];
  }

  async function carryOut(action, about) {
    if (await act(page, action, about)) await load().catch(tell);
  }

  function tell(error) {
    if (error.name !== "AbortError") page.say(error.message, "warning");
  }

  return {
    update(live) {
      drawNow(live);
      const row = live.assets.get(key);
      const changed = row && history && row.incidents !== history.open.length && Date.now() - loaded > SOON_MS;
      if (busy || !history || range.from !== undefined) {
        if (changed && !busy) load(true).catch(tell);
        return;
      }
      if (changed || Date.now() - loaded > AGAIN_MS) load(changed).catch(tell);
      else if (range.span !== null && range.span <= ROW_BY_ROW && Date.now() - rested > REST_MS) goOn().catch(tell);
    },
    close() {
      seen.disconnect();
      for (const node of charts.keys()) purge(node);
    },
  };
}

const width = (ms) => (ms < 1000 ? `${ms} ms` : ms < 10_000 ? `${number(ms / 1000, 2)} s` : duration(ms));

function ranged(given) {
  const known = RANGES.find(([name]) => name === given);
  if (known) return { name: known[0], span: known[2] };
  const [from, to] = (given ?? "").split("-").map(Number);
  return from > 0 && to > from ? { from, to } : null;
}

function well(row) {
  if (!row) return "The daemon does not know how it stands just now.";
  const how = state(row.state ?? "");
  if (row.maintenance?.begun) return `It is worked on until ${when(row.maintenance.until)}${row.maintenance.who ? ` (${row.maintenance.who})` : ""}${row.maintenance.why ? `: ${row.maintenance.why}` : ""}. Nothing is scored, nobody is alarmed.`;
  if (row.state === "watched" && row.score !== null && row.score !== undefined && row.threshold) return `Nothing is wrong: scored and judged, at ${percent(row.score / row.threshold)} of its threshold.`;
  if (row.state === "watched") return "Nothing is wrong: scored and judged.";
  if (row.severity) return "An incident has just begun: what is wrong is being looked up.";
  return `No incident is open. ${how.means ? `It is ${row.status}: ${how.means}.` : `It is ${row.status}.`}`;
}

function figures(several) {
  return several.map(([label, value, detail]) => el("div", { class: "figure" }, el("dt", {}, label), el("dd", {}, value, detail && el("small", {}, detail))));
}
