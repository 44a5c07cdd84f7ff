/* What came of a run in the lab: the run in words, and the cards with its charts. */

import { purge } from "../charts.js";
import { badge, el, figure, put } from "../dom.js";
import { when } from "../times.js";
import * as words from "../words.js";
import { alarmsCard, distributionCard, scoreCard } from "./lab_floor.js";
import { sensorsCard } from "./lab_sensors.js";

/* Show the result of one run in `node`. `again(asset)` scores another asset of the same file. */
export function results(node, found, model, again) {
  for (const old of node.querySelectorAll(".chart")) purge(old);
  const start = found.chart.time[0];
  const run = {
    found,
    model,
    x: (time) => (found.timed ? new Date(time) : (time - start) / 1000),
    axis: found.timed ? { type: "date" } : { type: "linear", title: { text: "seconds since the first row" } },
    set: nearest(found.floors, found.floor), // the number of the floor that is set
  };
  run.at = run.set; // of the floor that is looked at

  const score = scoreCard(run, move);
  const alarms = alarmsCard(run);
  const spread = distributionCard(run);
  const sensors = sensorsCard(run);
  put(node,
    summary(run, again),
    score.node,
    el("div", { class: "columns" }, alarms.node, spread.node),
    sensors.node);

  function move(at) {
    run.at = at;
    score.draw();
    alarms.draw();
    spread.draw();
  }
  move(run.at);
  sensors.draw();
  node.firstElementChild.scrollIntoView({ block: "start" });
}

function summary({ found, model }, again) {
  const scored = found.status.scored ?? 0;
  const ticks = Object.values(found.status).reduce((sum, each) => sum + each, 0);
  const rest = Object.entries(found.status).filter(([name]) => name !== "scored")
    .map(([name, count]) => `${count} ${words.reason(name)}`);
  const highest = Math.max(...found.chart.high.filter((each) => each !== null));
  return el("section", { class: "card stack", "aria-label": "The run" },
    el("h2", {}, heading(found)),
    found.fault && el("p", { class: "dim" }, `${found.fault.what}, from the middle on`),
    found.assets.length > 1 && assetField(found, again),
    el("dl", { class: "figures" },
      figure("Model", model.model, model.in_use ? `class ${model.id}` : "in use by no class"),
      figure("Scored", `${words.number(scored, 9)} of ${words.count(ticks, "tick")}`, rest.join(", ") || null),
      figure("Highest score", words.number(highest), `the floor in use is ${words.number(found.floor)}`),
      figure("Incidents", found.incidents.length, "at the floor that is set")),
    found.incidents.length > 0 && el("ul", { class: "plain stack" },
      found.incidents.map((each) => incident(each, found))),
    found.notes.length > 0 && el("ul", { class: "dim" }, found.notes.map((each) => el("li", {}, each))));
}

function assetField({ assets, asset }, again) {
  return el("label", { class: "field" },
    el("span", {}, "Asset of the file"),
    el("select", { onchange: (event) => again(event.target.value) },
      assets.map((each) => el("option", { value: each, selected: each === asset }, each))));
}

function heading({ fault, asset, simulated }) {
  if (!fault) return simulated ? "A normal sample" : asset;
  const kind = words.plain(fault.kind).replace(/^./, (letter) => letter.toUpperCase());
  const severity = fault.severity.name ?? `${words.number(fault.severity.value)} (${fault.severity.unit})`;
  return `${kind}${fault.sensor ? ` of ${words.plain(fault.sensor)}` : ""}, ${severity}`;
}

function incident({ kind, sensor, named, fired, cleared }, { timed, chart, fault }) {
  const at = (time) => (timed ? when(time) : `${words.number((time - chart.time[0]) / 1000, 6)} s`);
  const late = fault && fired >= fault.start;
  return el("li", { class: "row" },
    badge(sensor ? words.SEVERITIES.warning : words.SEVERITIES.critical, words.kind(kind)),
    el("span", {},
      sensor && `${words.plain(sensor)} `,
      `at ${at(fired)}`,
      late && `, ${words.duration(fired - fault.start)} after the fault's onset`,
      named.length > 0 && `: ${named.map(words.plain).join(", ")}`,
      cleared !== null && `; cleared at ${at(cleared)}`));
}

/* The place of a number among ascending ones. */
function nearest(numbers, wanted) {
  let best = 0;
  for (let at = 1; at < numbers.length; at += 1) {
    if (Math.abs(numbers[at] - wanted) < Math.abs(numbers[best] - wanted)) best = at;
  }
  return best;
}
