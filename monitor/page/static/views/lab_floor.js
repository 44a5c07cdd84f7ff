/* What a floor of the threshold would bring, in three cards that the slider moves: the score beside the threshold,
   false alarms, and how the scores are distributed. Each is {node, draw()}, and draws for the floor `run.at`. */

import { colour, escaped, series } from "../charts.js";
import { el, put, text } from "../dom.js";
import * as words from "../words.js";
import { between, drawer, UNTOLD, upright } from "./lab_chart.js";

const DAYS_A_MONTH = 30;
const NOTHING = 1e-12; // a scale of powers has no zero
const COPIED_MS = 2000;
const SAME = 1.0001; // times the floor: a threshold below is the floor itself

/* -- the score, and the slider ------------------------------------------------------------------------------------ */

/* `move(at)` is called for the floor that the slider is at. */
export function scoreCard(run, move) {
  const { found, x, axis } = run;
  const { floors, fault } = found;
  const { time, low, mean, high, threshold } = found.chart;
  const at = time.map(x);
  const node = el("div", {
    class: "chart", role: "img", "aria-label": "The score over time, with the threshold",
  });
  const slider = el("input", {
    type: "range",
    id: "lab-floor",
    min: 0,
    max: floors.length - 1,
    step: 1,
    value: run.at,
    oninput: () => move(Number(slider.value)),
  });
  const said = el("output", { for: "lab-floor", class: "number" });
  const reset = el("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      move(run.set);
      slider.focus();
    },
  }, `Back to ${words.number(found.floor)}`);

  /* What the threshold would have been: where the recent scores of the asset asked for more than the floor, that. */
  function moved(each) {
    const floor = floors[run.at];
    if (each === null) return null;
    return each <= found.floor * SAME ? (each / found.floor) * floor : Math.max(each, floor);
  }

  function spans() {
    const incidents = found.incidents.filter((each) => !each.sensor);
    return [
      ...(fault ? [shaded(fault.start, fault.end, colour("busy", 0.1))] : []),
      ...incidents.map((each) => shaded(each.fired, each.cleared, colour("critical", 0.14))),
    ];
  }

  const shaded = (from, to, fillcolor) => ({
    type: "rect",
    xref: "x",
    yref: "paper",
    x0: x(from),
    x1: x(to ?? time.at(-1)),
    y0: 0,
    y1: 1,
    line: { width: 0 },
    fillcolor,
    layer: "below",
  });
  const traces = () => [
    ...between(at, low, high, 0.18, UNTOLD),
    { x: at, y: mean, name: "score", mode: "lines", line: { color: colour("accent"), width: 1.5 } },
    {
      x: at,
      y: threshold.map(moved),
      name: "threshold",
      mode: "lines",
      line: { color: colour("critical"), width: 2, dash: "dash", shape: "hv" },
    },
  ];
  const layout = () => ({
    xaxis: axis,
    yaxis: { title: { text: "score" }, rangemode: "tozero" },
    shapes: spans(),
    showlegend: true,
    legend: { orientation: "h", y: 1.12 },
    uirevision: "kept",
  });
  const soon = drawer(node, traces, layout);
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-score" },
      el("h2", { id: "lab-score" }, "Score"),
      node,
      el("p", { class: "dim" }, fault
        ? "Shaded: the fault, and in red the incidents at the floor that is set."
        : "Shaded in red: the incidents at the floor that is set."),
      el("div", { class: "row lab-slider" },
        el("label", { for: "lab-floor" }, "Floor of the threshold"),
        slider,
        said,
        reset)),
    draw() {
      const floor = floors[run.at];
      const here = words.count(found.here[run.at], "incident");
      slider.value = run.at;
      slider.setAttribute("aria-valuetext", `floor ${words.number(floor)}, ${here} in these rows`);
      text(said, `${words.number(floor)}${floor === found.floor ? ", as it is set" : ""}`);
      reset.hidden = floor === found.floor;
      soon();
    },
  };
}

/* -- false alarms -------------------------------------------------------------------------------------------------- */

export function alarmsCard(run) {
  const { found, model } = run;
  const known = found.false_alarms;
  const here = el("p", {});
  const predicted = el("p", {});
  const setting = el("code", {});
  const node = known && el("div", {
    class: "chart low",
    role: "img",
    "aria-label": "Predicted false alarms a day and asset, by the floor of the threshold",
  });
  const soon = known && alarmsDrawer(node, run, known);
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-alarms" },
      el("h2", { id: "lab-alarms" }, "False alarms at this floor"),
      el("div", { "aria-live": "polite", class: "stack" }, here, predicted),
      node,
      known?.source === "stored" && el("p", { class: "dim" },
        "Of the scored rows that the store holds. What was judged real is left out; incidents that nobody judged "
        + "count as false alarms."),
      model.in_use && el("div", { class: "stack" },
        el("p", {}, `To keep it, in the settings behind the [[classes]] with name = "${model.id}":`),
        el("div", { class: "row" }, el("pre", { class: "setting" }, setting), copyButton(setting)))),
    draw() {
      const floor = found.floors[run.at];
      put(here,
        el("strong", {}, words.count(found.here[run.at], "incident")),
        ` in these rows at a floor of ${words.number(floor)}.`);
      put(predicted, known ? prediction(known, run.at) : nothing(model));
      text(setting, `[classes.threshold]\nfloor = ${floor}`);
      soon?.();
    },
  };
}

function alarmsDrawer(node, run, known) {
  const { floors } = run.found;
  const reach = [0.3 / known.days, 1.5 * Math.max(...known.at_most)].map(Math.log10);
  const least = known.at_least.map((each) => each || NOTHING);
  const traces = () => [
    ...between(floors, least, known.at_most, 0.18, { name: "in 9 of 10 cases" }),
    {
      x: floors,
      y: known.a_day.map((each) => each || null),
      name: "counted",
      mode: "lines+markers",
      marker: { size: 4 },
      line: { color: colour("accent") },
    },
  ];
  const layout = () => ({
    xaxis: { type: "log", title: { text: "floor" }, tickvals: [0.25, 0.5, 1, 2, 5, 10] },
    yaxis: { type: "log", title: { text: "a day and asset" }, dtick: 1, range: reach },
    showlegend: false,
    shapes: [upright(floors[run.at], { color: colour("critical"), dash: "dash" })],
  });
  return drawer(node, traces, layout);
}

/* Copies the text of a node; where the browser does not let it, the text is selected. */
function copyButton(node) {
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(node.textContent);
      text(button, "Copied");
      setTimeout(() => text(button, "Copy"), COPIED_MS);
    } catch {
      getSelection().selectAllChildren(node);
    }
  });
  return button;
}

function prediction(known, at) {
  const where = known.source === "stored"
    ? `${days(known.days)} of ${words.count(known.assets, "asset")} in the store`
    : `the ${days(known.days)} of this normal sample`;
  const [least, counted, most] = [known.at_least, known.a_day, known.at_most].map((each) => each[at]);
  if (!known.incidents[at]) {
    return [el("strong", {}, "None"), ` in ${where}: in 19 of 20 cases at most ${rate(most)} for each asset.`];
  }
  return [
    el("strong", {}, words.number(known.incidents[at], 6)),
    ` in ${where}: about ${rate(counted)} for each asset, `,
    `in 9 of 10 cases between ${rate(least)} and ${rate(most)}.`,
  ];
}

function nothing(model) {
  const why = model.in_use
    ? "the store holds no scored rows of this class yet, and nobody says that these rows are normal."
    : "no class uses this model. A normal sample says it for itself.";
  return `How many false alarms it would bring cannot be told: ${why}`;
}

function days(count) {
  if (count >= 1) return `${words.number(count)} asset-days`;
  return `${words.number(24 * count, 2)} asset-hours`;
}

function rate(aDay) {
  if (aDay >= 1) return `${words.number(aDay, 2)} a day`;
  const every = 1 / aDay;
  if (every < 2 * DAYS_A_MONTH) return `one in ${words.number(every, 2)} days`;
  return `one in ${words.number(every / DAYS_A_MONTH, 2)} months`;
}

/* -- the distribution ---------------------------------------------------------------------------------------------- */

export function distributionCard(run) {
  const { floors, distribution, training } = run.found;
  const { edges, here, normal } = distribution;
  const { quantiles } = training;
  const node = el("div", {
    class: "chart low", role: "img", "aria-label": "How the scores are distributed, here and where assets were well",
  });
  const middles = here.map((_, bin) => Math.sqrt(edges[bin] * edges[bin + 1]));
  const widths = here.map((_, bin) => edges[bin + 1] - edges[bin]);
  const filled = middles.filter((_, bin) => here[bin] || normal?.[bin]);
  const ends = [Math.min(...filled, 0.1), Math.max(...filled, floors[run.at], 2)];
  const bars = (counts, more) => ({ type: "bar", x: middles, y: shares(counts), width: widths, ...more });
  const traces = () => [
    normal && bars(normal, { name: "the plant's, well", marker: { color: colour("dim", 0.45) } }),
    bars(here, { name: "these rows", marker: { color: series(1), opacity: 0.65 } }),
  ].filter(Boolean);
  const line = (at, tone, dash) => upright(at, { color: colour(tone), width: 1.5, dash });
  const layout = () => ({
    barmode: "overlay",
    bargap: 0,
    showlegend: true,
    legend: { orientation: "h", y: 1.15 },
    xaxis: {
      type: "log",
      title: { text: "score" },
      range: ends.map(Math.log10),
      tickvals: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50],
    },
    yaxis: { title: { text: "% of the rows" } },
    shapes: [...quantiles.map(([, at]) => line(at, "good", "dot")), line(floors[run.at], "critical", "dash")],
    annotations: quantiles.map(quantileMark),
  });
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-spread" },
      el("h2", { id: "lab-spread" }, "Distribution of the scores"),
      node,
      el("p", { class: "dim" }, quantileWords(training))),
    draw: drawer(node, traces, layout),
  };
}

/* Counts as per cent of all of them. */
function shares(counts) {
  const sum = counts.reduce((total, each) => total + each, 0);
  return counts.map((each) => (sum ? (100 * each) / sum : 0));
}

const perCent = (part) => `${words.number(100 * part, 4)} %`;

const quantileMark = ([part, at]) => ({
  x: Math.log10(at),
  y: 1,
  yref: "paper",
  text: escaped(perCent(part)),
  showarrow: false,
  textangle: -90,
  xanchor: "right",
  yanchor: "top",
  font: { size: 10, color: colour("good") },
});

function quantileWords({ quantiles, windows }) {
  if (!quantiles.length) return "The model's card tells no quantiles of training.";
  const each = quantiles.map(([part, at]) => `${perCent(part)}: ${words.number(at)}`).join(", ");
  return `Dotted: quantiles of ${words.count(windows, "normal window")} that training held out (${each}). `
    + "A model keeps no more of them than that.";
}
