/* The sensors of a run in the lab, each with a chart of what it was and what the model expected, as they are chosen. */

import { colour, purge, series } from "../charts.js";
import { el } from "../dom.js";
import * as words from "../words.js";
import { between, draw, UNTOLD } from "./lab_chart.js";

const FIRST = 3; // charts at first: of those that contribute most
const MOST = 8;

export function sensorsCard({ found, x, axis }) {
  const at = found.chart.time.map(x);
  const charts = el("div", { class: "columns" });
  const most = Math.max(...found.sensors.map((each) => each.peak ?? 0), 1e-9);
  const shown = new Map(); // name -> figure

  function toggle(sensor, button) {
    const open = shown.get(sensor.name);
    if (open) {
      purge(open.querySelector(".chart"));
      open.remove();
      shown.delete(sensor.name);
    } else if (shown.size < MOST) show(sensor);
    button.setAttribute("aria-pressed", String(shown.has(sensor.name)));
  }

  function show(sensor) {
    const name = words.plain(sensor.name);
    const unit = words.unitOf(sensor.unit);
    const node = el("div", { class: "chart low", role: "img", "aria-label": `${name}, actual and expected` });
    const figure = el("figure", {}, el("figcaption", {}, `${name}${unit ? `, ${unit}` : ""}`), node);
    shown.set(sensor.name, figure);
    charts.append(figure);
    draw(node, () => traces(sensor), () => ({
      xaxis: axis,
      legend: { orientation: "h", y: 1.2 },
      showlegend: true,
    }));
  }

  const traces = (sensor) => [
    ...between(at, sensor.low, sensor.high, 0.15, UNTOLD),
    { x: at, y: sensor.mean, name: "actual", mode: "lines", line: { color: colour("accent"), width: 1.4 } },
    { x: at, y: sensor.expected, name: "expected", mode: "lines", line: { color: series(1), width: 1.4, dash: "dot" } },
  ];

  const rows = found.sensors.map((sensor) => {
    const button = el("button", {
      type: "button",
      class: "chip lab-sensor",
      "aria-pressed": "false",
      onclick: () => toggle(sensor, button),
    },
      el("span", {}, words.plain(sensor.name)),
      el("span", { class: "count" }, words.number(sensor.peak, 2)),
      el("span", { class: "lab-bar", "aria-hidden": "true" }));
    button.style.setProperty("--share", `${(100 * (sensor.peak ?? 0)) / most}%`);
    return [sensor, button];
  });
  return {
    node: el("section", { class: "card stack", "aria-labelledby": "lab-sensors" },
      el("h2", { id: "lab-sensors" }, "Sensors, as they were and as the model expected them"),
      el("p", { class: "dim" },
        `The number is the most that a sensor contributed to the score. Choose up to ${MOST} to look at.`),
      el("div", { class: "chips" }, rows.map(([, button]) => button)),
      charts),
    draw() {
      for (const [sensor, button] of rows.slice(0, FIRST)) toggle(sensor, button);
    },
  };
}
