/* The elements of an asset's view, in their order; what stands in them is put there by asset.js. */

import { card, el, put } from "../dom.js";
import { assetName, assetPlace } from "../words.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/* Name, words and length of the ranges that have a button; null: all that is stored. */
export const RANGES = [
  ["15m", "15 min", 15 * MINUTE],
  ["1h", "1 h", HOUR],
  ["6h", "6 h", 6 * HOUR],
  ["24h", "24 h", DAY],
  ["7d", "7 d", 7 * DAY],
  ["30d", "30 d", 30 * DAY],
  ["all", "all", null],
];

/* Put them into `root`; returns those that are filled later, by name. `on` is what buttons do: range({name, span}),
   move(by, times), zone(), more(), and carryOut(action) of the two that are about the asset as a whole. */
export function frame(root, key, on) {
  const nodes = {
    badge: el("span", { class: "row" }),
    maintenance: press("Maintenance …", () => on.carryOut("maintenance")),
    now: el("div", { class: "stack" }),
    figures: el("dl", { class: "figures" }),
    ranges: segments("Range", RANGES.map(([name, words, span]) =>
      press(words, () => on.range({ name, span }), { dataset: { range: name } }))),
    whole: el("span", { class: "dim" }),
    zone: press(null, on.zone, { class: "quiet" }),
    score: el("div", { class: "chart", role: "img" }),
    bars: el("div"),
    planes: segments("What the map shows"),
    map: el("div", { class: "chart map", role: "img" }),
    mapKey: el("p", { class: "key dim" },
      mark("dot"), "training ",
      mark("diamond"), "this asset, the stronger the newer ",
      mark("ring"), "newest"),
    mapWords: el("p", { class: "dim" }),
    none: el("p", { class: "dim", hidden: true },
      "No row of it lies in this range: take a longer one, or wait for its first."),
    sensors: el("div", { class: "sensors" }),
    more: press(null, on.more, { hidden: true }),
    past: el("div"),
    gaps: el("div"),
  };
  put(root,
    el("div", { class: "view-head" },
      el("h1", {}, assetName(key)),
      el("span", { class: "dim" }, assetPlace(key)),
      nodes.badge,
      el("div", { class: "actions" },
        nodes.maintenance,
        press("Accept as new normal …", () => on.carryOut("accept")))),
    el("section", { class: "card stack", "aria-label": "How it stands" }, nodes.now, nodes.figures),
    el("div", { class: "view-head range" },
      nodes.ranges,
      segments("Move the range", [
        press("Earlier", () => on.move(-0.5, 1)),
        press("Later", () => on.move(0.5, 1)),
        press("Closer", () => on.move(0, 0.5)),
        press("Wider", () => on.move(0, 2)),
      ]),
      nodes.whole,
      nodes.zone),
    card("score", "Score and threshold",
      nodes.score,
      el("p", { class: "key dim" },
        mark("line"), "score, with its lowest and highest ",
        mark("dashed critical"), "threshold ",
        mark("span warning"), "incident ",
        mark("span idle"), "not scored. Drag over a chart to zoom.")),
    el("div", { class: "columns" },
      card("bars", "Which sensors say so", nodes.bars),
      el("section", { class: "card", "aria-labelledby": "map-title" },
        el("div", { class: "view-head" },
          el("h2", { id: "map-title" }, "Against the training windows"),
          nodes.planes),
        nodes.map,
        nodes.mapKey,
        nodes.mapWords)),
    el("section", { "aria-labelledby": "sensors-title" },
      el("h2", { id: "sensors-title" }, "Sensors"),
      el("p", { class: "key dim" },
        mark("line"), "actual ",
        mark("dotted"), "expected by the other sensors ",
        mark("span idle"), "where 99 of 100 training windows were ",
        mark("span warning"), "incident; of the sensor itself, dashed"),
      nodes.none,
      nodes.sensors,
      el("p", { class: "row" }, nodes.more)),
    el("div", { class: "columns" },
      card("past", "Incidents in this range", nodes.past),
      card("gaps", "Not scored, and why", nodes.gaps)));
  return nodes;
}

const press = (words, onclick, attributes = {}) => el("button", { type: "button", ...attributes, onclick }, words);
const segments = (label, buttons = []) => el("div", { class: "segments", role: "group", "aria-label": label }, buttons);
const mark = (name) => el("i", { class: `mark ${name}` });
