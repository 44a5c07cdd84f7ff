"use strict";
// Draws REPORT with the colours of the theme; a colour "@name" stands for the CSS variable --name.

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const option = { responsive: true, displayModeBar: "hover", displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const logarithmic = { type: "log", tickvals: [0.01, 0.1, 0.3, 1, 3, 10, 100, 1000, 10000] };
let colours = {};

function readColours() {
  const style = getComputedStyle(root);
  const names = ["page", "card", "text", "muted", "line", "grid", "model", "normal", "event", "false", "good", "span",
    "unjudged", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
}

function painted(value) {
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, painted(inner)]));
  }
  if (value === "@heat") return [[0, mixed(colours.normal, 0.03)], [0.2, mixed(colours.normal, 0.4)], [0.201, mixed(colours.event, 0.4)], [1, colours.event]];
  if (typeof value !== "string" || value[0] !== "@") return value;
  const soft = value.endsWith("-soft");
  const colour = colours[value.slice(1).replace("-soft", "")];
  return soft ? mixed(colour, 0.22) : colour;
}

// A colour of the form #rrggbb thinned.
function mixed(hex, share) {
  const rgb = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${rgb.join(",")},${share})`;
}

function axis(given) {
  const title = typeof given.title === "string" ? { title: { text: given.title, font: { size: 12 }, standoff: 8 } } : {};
  return { gridcolor: colours.grid, linecolor: colours.line, zeroline: false, automargin: true, tickfont: { size: 11 }, ...given, ...title };
}

function framed(given) {
  const layout = painted(given);
  const axes = Object.keys(layout).filter((key) => /^[xy]axis/.test(key));
  for (const key of axes) layout[key] = axis(layout[key]);
  return {
    height: 330, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colours.text },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colours.line, activecolor: colours.text },
    hoverlabel: { bgcolor: colours.card, bordercolor: colours.line, font: { color: colours.text } },
    ...layout,
    margin: { l: 56, r: 16, t: 28, b: 44, ...(layout.margin || {}) },
  };
}

function draw(place, figure) {
  Plotly.react(place, painted(figure.data), framed(figure.layout), option);
}

// Ticks of a run as times, where it has times; else as minutes from its beginning.
function when(run, tick) {
  return REPORT.timed ? new Date(run.began + tick * REPORT.period).toISOString() : (tick * REPORT.period) / 60000;
}

function timeAxis() {
  return REPORT.timed ? { type: "date" } : { title: "minutes from the beginning of the run" };
}

function seconds(ticks) {
  return Math.round((ticks * REPORT.period) / 1000) + " s";
}

function span(run, first, last, colour, low = 0) {
  return { type: "rect", x0: when(run, first), x1: when(run, last + 1), yref: "paper", y0: low, y1: 1, layer: "below",
    line: { width: 0 }, fillcolor: colour };
}

function told(run, incidents, name, colour, row) {
  const x = [], y = [], text = [];
  for (const each of incidents) {
    x.push(when(run, each.fired), when(run, each.cleared), null);
    y.push(row, row, null);
    const words = `${name}: ${each.kind.replace("_", " ")}${each.sensor ? ", " + each.sensor : ""}`;
    text.push(words, words, null);
  }
  return { x, y, text, name, type: "scatter", mode: "lines", line: { color: colour, width: 9 }, yaxis: "y3", hovertemplate: "%{text}<extra></extra>" };
}

function showRun() {
  const run = REPORT.runs[document.getElementById("run").selectedIndex];
  const x = run.tick.map((tick) => when(run, tick));
  const own = run.incidents.filter((each) => !each.false);
  const wrong = run.incidents.filter((each) => each.false);
  const heat = run.heat.map((row) => row.map((value) => (value === null ? null : Math.min(value, 5))));
  const sensors = REPORT.sensors.length;
  const below = Math.min(0.62, 0.28 + sensors * 0.016);
  draw("timeline", {
    data: [
      { x: run.heatTick.map((tick) => when(run, tick)), y: REPORT.sensors, z: heat, type: "heatmap", zmin: 0, zmax: 5, yaxis: "y2",
        colorscale: "@heat", showscale: false, hovertemplate: "%{y}: %{z:.2f}<extra></extra>" },
      { x, y: run.score, name: "score", mode: "lines", line: { color: "@model", width: 1.3 }, hovertemplate: "score %{y:.2f}<extra></extra>" },
      { x, y: run.threshold, name: "threshold", mode: "lines", line: { color: "@muted", width: 1.3, dash: "dash" }, hovertemplate: "threshold %{y:.2f}<extra></extra>" },
      told(run, own, "incident of an event", "@good", 1),
      told(run, wrong, "false incident", "@false", 0),
    ],
    layout: {
      height: 330 + 15 * sensors, hovermode: "closest",
      xaxis: { ...timeAxis(), anchor: "y2" },
      yaxis: { title: "score", domain: [below, 0.92], ...logarithmic },
      yaxis2: { domain: [0, below - 0.05], autorange: "reversed", showgrid: false, tickfont: { size: 10 } },
      yaxis3: { domain: [0.93, 1], range: [-0.7, 1.7], visible: false },
      shapes: [
        ...run.unjudged.map(([first, last]) => span(run, first, last, "@unjudged", below)),
        ...run.events.map((event) => span(run, event.start, event.end, "@span", below)),
      ],
      margin: { t: 36 },
    },
  });
  const found = run.events.filter((event) => event.delay !== null).length;
  const more = REPORT.allRuns > REPORT.runs.length ? ` · ${REPORT.runs.length} of ${REPORT.allRuns} runs are here` : "";
  const events = run.events.length ? `${found} of ${run.events.length} events found, ` : "";
  document.getElementById("run-note").textContent = `${events}${wrong.length} false incidents${more}`;
}

function showEvent() {
  const event = REPORT.events[document.getElementById("event").selectedIndex];
  const x = event.tick.map((tick) => when(event, tick));
  const rows = event.sensors.length + 1;
  const height = 1 / rows;
  const data = [
    { x, y: event.score, name: "score", mode: "lines", line: { color: "@model", width: 1.6 } },
    { x, y: event.threshold, name: "threshold", mode: "lines", line: { color: "@muted", width: 1.3, dash: "dash" } },
  ];
  const layout = {
    height: 120 + 125 * rows, margin: { l: 76 }, hovermode: "x unified",
    xaxis: { ...timeAxis(), anchor: rows > 1 ? "y" + rows : "y" },
    yaxis: { title: "score", domain: [1 - height + 0.035, 1], ...logarithmic },
    shapes: [span(event, event.start, event.end, "@span")],
    annotations: [],
  };
  event.sensors.forEach((sensor, index) => {
    const key = index + 2;
    const low = 1 - (index + 2) * height;
    layout["yaxis" + key] = { title: sensor.unit === "1" ? "" : sensor.unit, domain: [Math.max(low + 0.02, 0), low + height - 0.035] };
    data.push({ x, y: sensor.expected, yaxis: "y" + key, name: "expected", showlegend: index === 0, mode: "lines", line: { color: "@second", width: 1.6 } });
    data.push({ x, y: sensor.actual, yaxis: "y" + key, name: "measured", showlegend: index === 0, mode: "lines", line: { color: "@text", width: 1.2 } });
    layout.annotations.push({ text: `${sensor.name} <span style="opacity:.7">(${sensor.contribution.toFixed(2)})</span>`, xref: "paper", x: 0, yref: "paper", y: low + height - 0.035, yanchor: "bottom", xanchor: "left", showarrow: false, font: { size: 12, color: "@text" } });
  });
  if (event.delay !== null) {
    const at = when(event, event.start + event.delay);
    layout.shapes.push({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: "@good", width: 1.5 } });
    layout.annotations.push({ text: "told", x: at, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: { size: 11, color: "@good" } });
  }
  draw("reconstruction", { data, layout });
  document.getElementById("event-note").textContent = event.delay === null ? "not found" : `told after ${seconds(event.delay)}`;
}

function eventName(event) {
  const what = [event.kind, event.sensor].filter(Boolean).join(", ") || "event";
  return `${event.run}: ${what}${event.delay === null ? " (missed)" : ""}`;
}

function fill(id, names, show) {
  const select = document.getElementById(id);
  select.replaceChildren(...names.map((name) => new Option(name)));
  select.addEventListener("change", show);
}

function drawAll() {
  readColours();
  for (const place of document.querySelectorAll("[data-figure]")) {
    const figure = REPORT.figures[place.dataset.figure];
    if (figure) draw(place, figure);
  }
  if (REPORT.runs.length) showRun();
  if (REPORT.events.length) showEvent();
}

function setTheme(name) {
  root.dataset.theme = name;
  drawAll();
}

fill("run", REPORT.runs.map((run) => run.name), showRun);
fill("event", REPORT.events.map(eventName), showEvent);
dark.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
setTheme(dark.matches ? "dark" : "light");
