/* One asset: how it stands and what to do, score and sensors over time, who contributes, and where it lies.

   Here is what is asked of the daemon, when, and what is drawn anew then. The elements are made in asset_frame.js, what
   stands around the charts in asset_parts.js, and what the charts show in asset_charts.js. */

import { act } from "../actions.js";
import { chart, plotly, purge } from "../charts.js";
import { arrange, attribute, badge, el, put, text } from "../dom.js";
import { History } from "../history.js";
import { asked, isUtc, useUtc, when, zone } from "../times.js";
import { assetAddress, assetName, count, plain, unitOf } from "../words.js";
import { inWords, plane, scores, sensor } from "./asset_charts.js";
import { frame, RANGES } from "./asset_frame.js";
import { badges, bars, figures, gaps, mapWords, past, since, well, width, worked, wrong } from "./asset_parts.js";
import { severityOf } from "./incidents.js";

const HOUR = 3_600_000;
const USUAL = { name: "1h", span: HOUR };
const ROW_BY_ROW = 6 * HOUR; // up to which the charts go on with every row
const AGAIN_MS = 20_000; // after which longer ones, and what stands around the charts, are asked for anew
const SOON_MS = 2000; // the same, where an incident began or ended
const REST_MS = 1900; // between two looks at new rows: drawing is what takes a browser's time
const FIRST = 6; // sensors that are shown at once
const LEAST_POINTS = 100;
const MOST_POINTS = 600;
const SHORTEST = 10_000; // ms that can be zoomed to

export async function show(root, [key, given], page) {
  const address = `api/v1/assets/${encodeURIComponent(key)}`;
  page.title(assetName(key));
  let range = ranged(given) ?? USUAL;
  let history = null;
  let map = null;
  let planeNow = 1; // how it deviates
  let loaded = 0;
  let rested = 0;
  let busy = false;
  let latest = 0; // the number of the latest question: an answer to an older one is no longer wanted
  let shownSensors = FIRST;
  let wrongNow = ""; // the open incidents that are shown
  const charts = new Map(); // node -> what draws it

  const nodes = frame(root, key, {
    range: go,
    move,
    zone: () => {
      useUtc(!isUtc());
      wrongNow = "";
      drawZone();
      drawAll();
    },
    more: showMore,
    carryOut: (action) => {
      const begun = page.live.assets.get(key)?.maintenance;
      const wanted = action === "maintenance" && begun ? "maintained" : action;
      carryOut(wanted, { asset: key, name: assetName(key) });
    },
  });
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      target.dataset.seen = isIntersecting ? "yes" : "no";
      if (isIntersecting) drawChart(target);
    }
  }, { rootMargin: "200px" });
  place(nodes.score, () => scores(history), () => inWords(history));
  place(nodes.map, () => plane(map.planes[planeNow], map.time),
    () => "where the newest windows lie against those of the training");
  drawZone();
  plotly().catch(() => null); // comes beside what is to be drawn; the first chart tells where it cannot be had
  try {
    await load();
  } catch (error) {
    close();
    throw error;
  }

  /* -- what is asked for ------------------------------------------------------------------------------------------ */

  function question(more = {}) {
    const query = new URLSearchParams(more);
    if (range.from !== undefined) {
      query.set("from", String(range.from));
      query.set("to", String(range.to));
    } else if (range.span === null) query.set("from", "0");
    else query.set("span", String(range.span));
    return query;
  }

  /* The charts, with the sensors that are shown; `anew` with those that have most to say by now. */
  async function load(anew = false) {
    const mine = (latest += 1);
    busy = true;
    loaded = Date.now();
    try {
      const fitting = Math.round((nodes.score.clientWidth || 600) / 2);
      const query = question({ points: String(Math.max(LEAST_POINTS, Math.min(MOST_POINTS, fitting))) });
      const known = anew || !history ? [] : [...history.sensors, ...history.others].map((each) => each.name);
      const order = known.slice(0, shownSensors);
      for (const name of order) query.append("sensor", name);
      const [found, placed] = await Promise.all([
        page.get(`${address}?${query}`),
        page.get(`${address}/map?${question()}`).catch(unmapped),
      ]);
      if (mine !== latest) return;
      history = new History(found);
      if (order.length) history.sensors.sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
      map = placed;
      planeNow = Math.min(planeNow, Math.max(0, map.planes.length - 1)); // there may be one alone
      drawAll();
    } finally {
      if (mine === latest) busy = false;
    }
  }

  /* All else of an asset is shown where its map cannot be. */
  function unmapped(error) {
    if (error.name === "AbortError") throw error;
    return { planes: [], time: [], why: error.message };
  }

  async function goOn() {
    busy = true;
    rested = Date.now();
    const mine = latest;
    try {
      const rows = await page.get(`${address}/rows?after=${history.position}`);
      if (mine !== latest) return;
      if (rows.behind || history.leaps(rows)) await load();
      else if (history.take(rows)) {
        drawCharts();
        drawBars();
      }
    } finally {
      if (mine === latest) busy = false;
    }
  }

  /* Those that are there already, else some of the others, which have to be asked for. */
  function showMore() {
    const known = history.sensors.length;
    if (known > shownSensors) {
      shownSensors = known;
      drawSensors();
      drawCharts();
    } else {
      shownSensors = known + 2 * FIRST;
      nodes.more.disabled = true; // until they are there
      load().catch(page.mistake).finally(() => {
        nodes.more.disabled = false;
      });
    }
  }

  function go(wanted) {
    range = wanted;
    window.history.replaceState(null, "", assetAddress(key, wanted.name ?? `${wanted.from}-${wanted.to}`));
    load().catch(page.mistake);
  }

  /* By how much of its length the range goes on, and how many times as long it becomes. */
  function move(by, times) {
    if (!history) return;
    const length = history.to - history.from;
    const middle = history.from + length * (0.5 + by);
    const half = Math.max(SHORTEST, length * times) / 2;
    go({ from: Math.max(1, Math.round(middle - half)), to: Math.round(middle + half) });
  }

  async function carryOut(action, about) {
    try {
      if (await act(page, action, about)) await load();
    } catch (error) {
      page.mistake(error);
    }
  }

  /* -- charts ----------------------------------------------------------------------------------------------------- */

  function place(node, of, words) {
    charts.set(node, { of, words });
    seen.observe(node);
  }

  function drawChart(node) {
    const { of, words } = charts.get(node) ?? {};
    if (!history || !of || (node === nodes.map && !map?.planes.length)) return;
    const made = of();
    attribute(node, "aria-label", words());
    chart(node, made.traces, made.layout, { doubleClick: false }).then(bind).catch(page.mistake);
  }

  /* Dragging over a chart of times zooms all of them; a double click is the usual range again. */
  function bind(node) {
    if (node.dataset.bound || !node.on || node === nodes.map) return;
    node.dataset.bound = "yes";
    node.on("plotly_relayout", (change) => {
      const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (from === undefined || to === undefined) return;
      const [first, last] = [asked(from), asked(to)];
      if (last - first >= SHORTEST) go({ from: Math.round(first), to: Math.round(last) });
      else drawChart(node);
    });
    node.on("plotly_doubleclick", () => go(USUAL));
  }

  function drawCharts() {
    for (const node of charts.keys()) if (node.dataset.seen === "yes") drawChart(node);
  }

  function drawSensors() {
    const wanted = history.sensors.slice(0, shownSensors);
    nodes.none.hidden = wanted.length > 0;
    const there = new Map([...nodes.sensors.children].map((node) => [node.dataset.sensor, node]));
    const panels = wanted.map((each) => {
      const panel = there.get(each.name) ?? panelOf(each);
      put(panel.querySelector(".said"), faultOf(each) ?? unheard(each));
      return panel;
    });
    for (const [name, panel] of there) {
      if (!wanted.some((each) => each.name === name)) drop(panel);
    }
    arrange(nodes.sensors, panels);
    const left = history.sensors.length - wanted.length + history.others.length;
    nodes.more.hidden = left <= 0;
    const next = history.sensors.length > wanted.length ? history.sensors.length - wanted.length : 2 * FIRST;
    text(nodes.more, left <= next ? count(left, "more sensor") : `${next} more of ${left} sensors`);
  }

  /* The fault of a sensor itself in this range, the open one first. */
  function faultOf({ name }) {
    const faults = history.incidents.filter((incident) => incident.sensor === name);
    const worst = faults.find((incident) => incident.open) ?? faults.at(0);
    if (!worst) return null;
    return badge(severityOf(worst), worst.open ? worst.title : `was ${worst.title.replace(plain(name), "").trim()}`);
  }

  /* A sensor without a reading in all of this range. */
  function unheard({ name, mean }) {
    if (mean.some((each) => each !== null) || !history.score.rows.some((each) => each)) return null;
    const never = history.now?.never?.includes(name) && history.begins !== null;
    return el("span", { class: "dim" }, never
      ? `never reported, since ${when(history.begins)}`
      : "no reading in this range");
  }

  function panelOf(of) {
    const node = el("div", { class: "chart small", role: "img" });
    const now = () => history.sensors.find((each) => each.name === of.name) ?? of;
    place(node, () => sensor(history, now()), () => inWords(history, now()));
    const unit = unitOf(of.unit);
    return el("section", { class: "card", dataset: { sensor: of.name } },
      el("div", { class: "view-head" },
        el("h3", {}, of.words || plain(of.name), unit && el("small", {}, ` ${unit}`)),
        el("span", { class: "said" })),
      node);
  }

  function drop(panel) {
    const node = panel.querySelector(".chart");
    seen.unobserve(node);
    charts.delete(node);
    purge(node);
    panel.remove();
  }

  /* -- what stands around them ------------------------------------------------------------------------------------ */

  function drawAll() {
    if (!history) return;
    drawNow(page.live);
    drawRange();
    drawSensors();
    drawBars();
    drawMap();
    put(nodes.past, past(history));
    put(nodes.gaps, gaps(history));
    drawCharts();
  }

  function drawZone() {
    text(nodes.zone, `Times: ${zone()}`);
    const other = isUtc() ? "this browser's zone" : "UTC";
    attribute(nodes.zone, "aria-label", `Times are in ${zone()}; show them in ${other}`);
  }

  function drawRange() {
    for (const button of nodes.ranges.children) {
      attribute(button, "aria-pressed", String(button.dataset.range === range.name));
    }
    text(nodes.whole, `${when(history.from)} – ${when(history.to)}, a point is ${width(history.width)}`);
  }

  function drawBars() {
    put(nodes.bars, bars(history, page.live.assets.get(key)?.threshold ?? history.now?.threshold ?? null));
  }

  function drawMap() {
    const { planes } = map;
    for (const node of [nodes.map, nodes.planes, nodes.mapKey]) node.hidden = !planes.length;
    if (!planes.length) {
      text(nodes.mapWords, map.why);
      return;
    }
    if (nodes.planes.childElementCount !== planes.length) {
      put(nodes.planes, planes.map((each, at) =>
        el("button", { type: "button", onclick: () => turn(at) }, each.name)));
    }
    [...nodes.planes.children].forEach((button, at) => attribute(button, "aria-pressed", String(at === planeNow)));
    text(nodes.mapWords, mapWords(map, planes[planeNow]));
  }

  function turn(at) {
    planeNow = at;
    drawMap();
    drawChart(nodes.map);
  }

  /* How it stands. What can be pressed is made anew only where it is about something else: it keeps the focus. */
  function drawNow(live) {
    const row = live.assets.get(key);
    const told = row ?? history?.now;
    const open = history?.open ?? [];
    const work = told?.maintenance?.begun ? el("p", {}, worked(told.maintenance)) : null;
    put(nodes.badge, badges(row));
    text(nodes.maintenance, told?.maintenance ? "End maintenance …" : "Maintenance …");
    const now = JSON.stringify([open, work?.textContent]);
    if (!open.length) put(nodes.now, work ?? el("p", {}, well(told)));
    else if (now !== wrongNow) put(nodes.now, work, open.map((each) => wrong(each, acknowledge)));
    wrongNow = now;
    [...nodes.now.querySelectorAll(".since")].forEach((node, at) => text(node, since(open[at])));
    if (told) put(nodes.figures, figures(row, told, history?.coverage, history?.now?.never ?? []));
  }

  function acknowledge(each) {
    carryOut("acknowledge", { incident: each.id, asset: key, name: `${each.title} of ${assetName(key)}` });
  }

  function update(live) {
    drawNow(live);
    if (busy || !history) return;
    const row = live.assets.get(key);
    const changed = row && row.incidents !== history.open.length && Date.now() - loaded > SOON_MS;
    const moves = range.from === undefined; // a range that was zoomed to stands still
    if (changed || (moves && Date.now() - loaded > AGAIN_MS)) load(changed).catch(page.mistake);
    else if (moves && range.span !== null && range.span <= ROW_BY_ROW && Date.now() - rested > REST_MS) {
      goOn().catch(page.mistake);
    }
  }

  function close() {
    seen.disconnect();
    for (const node of charts.keys()) purge(node);
  }

  return { update, close };
}

/* The range that the address names: a button's, or two moments; null where it names none. */
function ranged(given) {
  const known = RANGES.find(([name]) => name === given);
  if (known) return { name: known[0], span: known[2] };
  const [from, to] = (given ?? "").split("-").map(Number);
  return from > 0 && to > from ? { from, to } : null;
}
