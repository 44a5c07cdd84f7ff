/* What came of a run in the lab: score and slider, false alarms, distribution, sensors. */

import { chart, colour, escaped, purge, series } from "../charts.js";
import { badge, el, figure, put, text } from "../dom.js";
import * as words from "../words.js";

const SENSORS_FIRST = 3; // charts of sensors at first: those that contribute most
const SENSORS_MOST = 8;
const DAYS_A_MONTH = 30;
const NOTHING = 1e-12; // a scale of powers has no zero

/* Show the result of one run in `node`. `again(asset)` scores another asset of the same file. */
export function results(node, found, model, again) {
  for (const old of node.querySelectorAll(".chart")) purge(old);
  const start = found.chart.time[0];
  const x = (time) => (found.timed ? new Date(time) : (time - start) / 1000);
  const axis = { type: found.timed ? "date" : "linear", title: found.timed ? undefined : { text: "seconds since the first row" } };
  const run = { found, model, x, axis, at: nearest(found.floors, found.floor) };

  const score = scoreCard(run);
  const alarms = alarmsCard(run);
  const spread = distributionCard(run);
  const sensors = sensorsCard(run);
  put(node, summary(run, again), score.node, el("div", { class: "columns" }, alarms.node, spread.node), sensors.node);

  function move(at) {
    run.at = at;
    score.draw();
    alarms.draw();
    spread.draw();
  }
  score.onmove(move);
  move(run.at);
  sensors.draw();
  node.firstElementChild.scrollIntoView({ block: "start" });
}

function summary({ found, model }, again) {
  const scored = found.status.scored ?? 0;
  const ticks = Object.values(found.status).reduce((sum, each) => sum + each, 0);
  const rest = Object.entries(found.status).filter(([name]) => name !== "scored").map(([name, count]) => `${count} ${words.reason(name)}`);
  const highest = Math.max(...found.chart.high.filter((each) => each !== null));
  const asset = found.assets.length > 1 && el("label", { class: "field" }, el("span", {}, "Asset of the file"),
    el("select", { onchange: (event) => again(event.target.value) },
      found.assets.map((each) => el("option", { value: each, selected: each === found.asset }, each))));
  return el("section", { class: "card stack", "aria-label": "The run" },
    el("h2", {}, heading(found)),
    found.fault && el("p", { class: "dim" }, `${found.fault.what}, from the middle on`),
    asset,
    el("dl", { class: "figures" },
      figure("Model", model.model, model.in_use ? `class ${model.id}` : "in use by no class"),
      figure("Scored", `${words.number(scored, 9)} of ${words.count(ticks, "tick")}`, rest.join(", ") || null),
      figure("Highest score", words.number(highest), "1 is the 99.9 % quantile of normal"),
      figure("Incidents", found.incidents.length, "at the floor that is set")),
    found.incidents.length > 0 && el("ul", { class: "plain stack" }, found.incidents.map((each) => incident(each, found))),
    found.notes.length > 0 && el("ul", { class: "dim" }, found.notes.map((each) => el("li", {}, each))));
}

function heading({ fault, asset, simulated }) {
  if (!fault) return simulated ? "A normal sample" : asset;
  return `${title(fault.kind)}${fault.sensor ? ` of ${words.plain(fault.sensor)}` : ""}, ${severity(fault)}`;
}

const title = (name) => words.plain(name).replace(/^./, (letter) => letter.toUpperCase());
const severity = (fault) => fault.severity.name ?? `${words.number(fault.severity.value)} (${fault.severity.unit})`;

function incident(each, found) {
  const when = (time) => (found.timed ? words.clock(time) : `${words.number((time - found.chart.time[0]) / 1000, 6)} s`);
  const after = found.fault && each.fired >= found.fault.start ? `, ${words.duration(each.fired - found.fault.start)} after the fault's onset` : "";
  const named = each.named.length ? `: ${each.named.map(words.plain).join(", ")}` : "";
  return el("li", { class: "row" },
    badge(each.sensor ? words.SEVERITIES.warning : words.SEVERITIES.critical, words.kind(each.kind)),
    el("span", {}, `${each.sensor ? `${words.plain(each.sensor)} ` : ""}at ${when(each.fired)}${after}${named}`,
      each.cleared === null ? "" : `; cleared at ${when(each.cleared)}`));
}

/* -- the score, and the slider ------------------------------------------------------------------------------------ */

function scoreCard(run) {
  const { found, x, axis } = run;
  const { time, low, mean, high, threshold } = found.chart;
  const at = time.map(x);
  const node = el("div", { class: "chart", role: "img", "aria-label": "The score over time, with the threshold" });
  const slider = el("input", { type: "range", id: "lab-floor", min: 0, max: found.floors.length - 1, step: 1, value: run.at });
  const said = el("output", { for: "lab-floor", class: "number" });
  const reset = el("button", { type: "button", class: "quiet" }, `Back to ${words.number(found.floor)}`);

  /* What the threshold would have been: where the recent scores of the asset asked for more than the floor, that. */
  const moved = () => {
    const floor = found.floors[run.at];
    return threshold.map((each) => (each === null ? null : each <= found.floor * 1.0001 ? (each / found.floor) * floor : Math.max(each, floor)));
  };
  const spans = () => [
    ...(found.fault ? [{ from: found.fault.start, to: found.fault.end, tone: "busy", alpha: 0.1 }] : []),
    ...found.incidents.filter((each) => !each.sensor).map((each) => ({ from: each.fired, to: each.cleared, tone: "critical", alpha: 0.14 })),
  ].map((span) => ({
    type: "rect", xref: "x", yref: "paper", y0: 0, y1: 1, line: { width: 0 }, fillcolor: colour(span.tone, span.alpha), layer: "below",
    x0: x(span.from), x1: x(span.to ?? time.at(-1)),
  }));
  const traces = () => [
    { x: at, y: low, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
    { x: at, y: high, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: colour("accent", 0.18), hoverinfo: "skip", showlegend: false },
    { x: at, y: mean, name: "score", mode: "lines", line: { color: colour("accent"), width: 1.5 } },
    { x: at, y: moved(), name: "threshold", mode: "lines", line: { color: colour("critical"), width: 2, dash: "dash", shape: "hv" } },
  ];
  const layout = () => ({
    xaxis: axis, yaxis: { title: { text: "score" }, rangemode: "tozero" }, shapes: spans(), showlegend: true,
    legend: { orientation: "h", y: 1.12 }, uirevision: "kept",
  });
  let due = null;
  function draw() {
    const floor = found.floors[run.at];
    slider.value = run.at;
    slider.setAttribute("aria-valuetext", `floor ${words.number(floor)}, ${words.count(found.here[run.at], "incident")} in these rows`);
    text(said, `${words.number(floor)}${floor === found.floor ? ", as it is set" : ""}`);
    reset.hidden = floor === found.floor;
    due ??= requestAnimationFrame(() => {
      due = null;
      drawn(node, traces, layout);
    });
  }
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-score" },
      el("h2", { id: "lab-score" }, "Score"),
      node,
      el("p", { class: "dim" },
        found.fault ? "Shaded: the fault, and in red the incidents at the floor that is set." : "Shaded in red: the incidents at the floor that is set."),
      el("div", { class: "row lab-slider" },
        el("label", { for: "lab-floor" }, "Floor of the threshold"), slider, said, reset)),
    draw,
    onmove(move) {
      slider.addEventListener("input", () => move(Number(slider.value)));
      reset.addEventListener("click", () => {
        move(nearest(found.floors, found.floor));
        slider.focus();
      });
    },
  };
}

/* -- false alarms -------------------------------------------------------------------------------------------------- */

function alarmsCard(run) {
  const { found, model } = run;
  const known = found.false_alarms;
  const here = el("p", {});
  const predicted = el("p", {});
  const node = known && el("div", { class: "chart low", role: "img", "aria-label": "Predicted false alarms a day and asset, by the floor of the threshold" });
  const setting = el("code", {});
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(setting.textContent);
      text(copy, "Copied");
      setTimeout(() => text(copy, "Copy"), 2000);
    } catch {
      getSelection().selectAllChildren(setting);
    }
  });
  const reach = known && [0.3 / known.days, 1.5 * Math.max(...known.at_most)].map(Math.log10);
  const traces = () => [
    { x: found.floors, y: known.at_least.map((each) => each || NOTHING), mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
    { x: found.floors, y: known.at_most, name: "in 9 of 10 cases", mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: colour("accent", 0.18) },
    { x: found.floors, y: known.a_day.map((each) => each || null), name: "counted", mode: "lines+markers", marker: { size: 4 }, line: { color: colour("accent") } },
  ];
  const layout = () => ({
    xaxis: { type: "log", title: { text: "floor" }, tickvals: [0.25, 0.5, 1, 2, 5, 10] },
    yaxis: { type: "log", title: { text: "a day and asset" }, dtick: 1, range: reach },
    showlegend: false,
    shapes: [{ type: "line", x0: found.floors[run.at], x1: found.floors[run.at], yref: "paper", y0: 0, y1: 1, line: { color: colour("critical"), dash: "dash" } }],
  });
  let due = null;
  function draw() {
    const floor = found.floors[run.at];
    put(here, el("strong", {}, words.count(found.here[run.at], "incident")), ` in these rows at a floor of ${words.number(floor)}.`);
    put(predicted, known ? prediction(known, run.at) : nothing(model));
    text(setting, `[classes.threshold]\nfloor = ${floor}`);
    if (known) {
      due ??= requestAnimationFrame(() => {
        due = null;
        drawn(node, traces, layout);
      });
    }
  }
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-alarms" },
      el("h2", { id: "lab-alarms" }, "False alarms at this floor"),
      el("div", { "aria-live": "polite", class: "stack" }, here, predicted),
      node,
      known?.source === "stored" && el("p", { class: "dim" }, "Of the scored rows that the store holds. What was judged real is left out; incidents that nobody judged count as false alarms."),
      model.in_use && el("div", { class: "stack" },
        el("p", {}, `To keep it, in the settings behind the [[classes]] with name = "${model.id}":`),
        el("div", { class: "row" }, el("pre", { class: "setting" }, setting), copy))),
    draw,
  };
}

function prediction(known, at) {
  const where = known.source === "stored"
    ? `${days(known.days)} of ${words.count(known.assets, "asset")} in the store`
    : `the ${days(known.days)} of this normal sample`;
  if (!known.incidents[at]) return [el("strong", {}, "None"), ` in ${where}: in 19 of 20 cases at most ${rate(known.at_most[at])} for each asset.`];
  return [el("strong", {}, words.number(known.incidents[at], 6)), ` in ${where}: about ${rate(known.a_day[at])} for each asset, in 9 of 10 cases between ${rate(known.at_least[at])} and ${rate(known.at_most[at])}.`];
}

function nothing(model) {
  return model.in_use
    ? "How many false alarms it would bring cannot be told: the store holds no scored rows of this class yet, and nobody says that these rows are normal."
    : "How many false alarms it would bring cannot be told: no class uses this model. A normal sample says it for itself.";
}

function days(count) {
  if (count >= 1) return `${words.number(count)} asset-days`;
  return `${words.number(24 * count, 2)} asset-hours`;
}

function rate(aDay) {
  if (aDay >= 1) return `${words.number(aDay, 2)} a day`;
  const every = 1 / aDay;
  return every < 2 * DAYS_A_MONTH ? `one in ${words.number(every, 2)} days` : `one in ${words.number(every / DAYS_A_MONTH, 2)} months`;
}

/* -- the distribution ------------------------------------------------------------------------------------------------ */

function distributionCard(run) {
  const { found } = run;
  const { edges, here, normal } = found.distribution;
  const node = el("div", { class: "chart low", role: "img", "aria-label": "How the scores are distributed, here and where assets were well" });
  const middles = here.map((_, bin) => Math.sqrt(edges[bin] * edges[bin + 1]));
  const widths = here.map((_, bin) => edges[bin + 1] - edges[bin]);
  const share = (counts) => {
    const sum = counts.reduce((total, each) => total + each, 0);
    return counts.map((each) => (sum ? (100 * each) / sum : 0));
  };
  const filled = middles.filter((_, bin) => here[bin] || normal?.[bin]);
  const ends = [Math.min(...filled, 0.1), Math.max(...filled, found.floors[run.at], 2)];
  const traces = () => [
    normal && { type: "bar", x: middles, y: share(normal), width: widths, name: "the plant's, well", marker: { color: colour("dim", 0.45) } },
    { type: "bar", x: middles, y: share(here), width: widths, name: "these rows", marker: { color: series(1), opacity: 0.65 } },
  ].filter(Boolean);
  const quantiles = found.training.quantiles;
  const line = (at, tone, dash) => ({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: colour(tone), width: 1.5, dash } });
  const layout = () => ({
    barmode: "overlay", bargap: 0, showlegend: true, legend: { orientation: "h", y: 1.15 },
    xaxis: { type: "log", title: { text: "score" }, range: ends.map(Math.log10), tickvals: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50] },
    yaxis: { title: { text: "% of the rows" } },
    shapes: [...quantiles.map(([, at]) => line(at, "good", "dot")), line(found.floors[run.at], "critical", "dash")],
    annotations: quantiles.map(([part, at]) => ({
      x: Math.log10(at), y: 1, yref: "paper", text: escaped(`${words.number(100 * part, 4)} %`), showarrow: false, textangle: -90,
      xanchor: "right", yanchor: "top", font: { size: 10, color: colour("good") },
    })),
  });
  let due = null;
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-spread" },
      el("h2", { id: "lab-spread" }, "Distribution of the scores"),
      node,
      el("p", { class: "dim" }, quantiles.length
        ? `Dotted: quantiles of ${words.count(found.training.windows, "normal window")} that training held out (${quantiles.map(([part, at]) => `${words.number(100 * part, 4)} %: ${words.number(at)}`).join(", ")}). A model keeps no more of them than that.`
        : "The model's card tells no quantiles of training.")),
    draw() {
      due ??= requestAnimationFrame(() => {
        due = null;
        drawn(node, traces, layout);
      });
    },
  };
}

/* -- the sensors ------------------------------------------------------------------------------------------------------- */

function sensorsCard(run) {
  const { found, x, axis } = run;
  const at = found.chart.time.map(x);
  const charts = el("div", { class: "columns" });
  const most = Math.max(...found.sensors.map((each) => each.peak ?? 0), 1e-9);
  const shown = new Map();

  function toggle(sensor, button) {
    const open = shown.get(sensor.name);
    if (open) {
      purge(open.querySelector(".chart"));
      open.remove();
      shown.delete(sensor.name);
    } else if (shown.size < SENSORS_MOST) {
      const node = el("div", { class: "chart low", role: "img", "aria-label": `${words.plain(sensor.name)}, actual and expected` });
      const figure_ = el("figure", {}, el("figcaption", {}, `${words.plain(sensor.name)}${sensor.unit && sensor.unit !== "1" ? `, ${sensor.unit}` : ""}`), node);
      shown.set(sensor.name, figure_);
      charts.append(figure_);
      drawn(node, () => traces(sensor), () => ({ xaxis: axis, legend: { orientation: "h", y: 1.2 }, showlegend: true }));
    }
    button.setAttribute("aria-pressed", String(shown.has(sensor.name)));
  }

  const traces = (sensor) => [
    { x: at, y: sensor.low, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false },
    { x: at, y: sensor.high, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: colour("accent", 0.15), hoverinfo: "skip", showlegend: false },
    { x: at, y: sensor.mean, name: "actual", mode: "lines", line: { color: colour("accent"), width: 1.4 } },
    { x: at, y: sensor.expected, name: "expected", mode: "lines", line: { color: series(1), width: 1.4, dash: "dot" } },
  ];

  const rows = found.sensors.map((sensor) => {
    const button = el("button", { type: "button", class: "chip lab-sensor", "aria-pressed": "false" },
      el("span", {}, words.plain(sensor.name)), el("span", { class: "count" }, words.number(sensor.peak, 2)),
      el("span", { class: "lab-bar", "aria-hidden": "true" }));
    button.style.setProperty("--share", `${(100 * (sensor.peak ?? 0)) / most}%`);
    button.addEventListener("click", () => toggle(sensor, button));
    return [sensor, button];
  });
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-sensors" },
      el("h2", { id: "lab-sensors" }, "Sensors, as they were and as the model expected them"),
      el("p", { class: "dim" }, `The number is the most that a sensor contributed to the score. Choose up to ${SENSORS_MOST} to look at.`),
      el("div", { class: "chips" }, rows.map(([, button]) => button)), charts),
    draw() {
      for (const [sensor, button] of rows.slice(0, SENSORS_FIRST)) toggle(sensor, button);
    },
  };
}

/* A chart, or in its place why there is none. */
async function drawn(node, traces, layout) {
  try {
    await chart(node, traces, layout);
  } catch (error) {
    put(node, el("p", { class: "dim" }, error.message));
  }
}

/* The place of a number among ascending ones. */
function nearest(numbers, wanted) {
  let best = 0;
  for (let at = 1; at < numbers.length; at += 1) {
    if (Math.abs(numbers[at] - wanted) < Math.abs(numbers[best] - wanted)) best = at;
  }
  return best;
}
