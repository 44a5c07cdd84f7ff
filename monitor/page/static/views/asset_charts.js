/* The charts of an asset: what is drawn of a `History`. Each is {traces(), layout()} as plotly.js takes them. */

import { colour, escaped } from "../charts.js";
import { drawn } from "../times.js";
import { plain, reason } from "../words.js";

const MOST_SPANS = 60; // drawn; the longest
const BREAK = 2.5; // times the usual distance of two points: a line breaks off where they are further apart
const TONES = { critical: "critical", warning: "warning" };

/* The points that are drawn, by number; null where the line breaks off. A point without a row is left out, and is no
   hole as long as rows are only further apart than points. */
function points(history) {
  const there = [...history.time.keys()].filter((at) => history.score.rows[at]);
  const apart = there.slice(1).map((at, before) => at - there[before]).sort((one, other) => one - other);
  const usual = apart[Math.floor(apart.length / 2)] ?? 1;
  return there.flatMap((at, before) => (before && at - there[before - 1] > BREAK * usual ? [null, at] : [at]));
}

const among = (values, kept) => kept.map((at) => (at === null ? null : values[at]));
const times = (history, kept) =>
  kept.map((at) => (at === null ? null : drawn(history.time[at] + history.width / 2)));

const line = (name, x, y, more = {}) =>
  ({ type: "scatter", mode: "lines", name, x, y, hoverinfo: "skip", showlegend: false, ...more });
const told = (template) => ({ hoverinfo: "all", hovertemplate: `${template}<extra></extra>` });

/* From one line to another, filled: a part of its own between any two holes in the values. */
function band(x, low, high, fill) {
  const parts = [];
  let begun = -1;
  for (let at = 0; at <= x.length; at += 1) {
    const there = at < x.length && low[at] !== null && high[at] !== null;
    if (there && begun < 0) begun = at;
    if (!there && begun >= 0) {
      const part = [...Array(at - begun).keys()].map((each) => begun + each);
      const onwards = part.map((each) => [x[each], high[each]]);
      const back = part.reverse().map((each) => [x[each], low[each]]);
      parts.push([...onwards, ...back, [null, null]]);
      begun = -1;
    }
  }
  const corners = parts.flat();
  const [across, up] = [corners.map(([at]) => at), corners.map(([, at]) => at)];
  return line("", across, up, { fill: "toself", fillcolor: fill, line: { width: 0, color: fill } });
}

function layout(history, unit, shapes) {
  return {
    height: 202,
    margin: { l: 52, r: 10, t: 6, b: 40 }, // below is room for hours and the day
    dragmode: "zoom",
    showlegend: false,
    xaxis: { type: "date", range: [drawn(history.from), drawn(history.to)], showgrid: false, fixedrange: false },
    yaxis: {
      title: unit ? { text: escaped(unit), standoff: 4 } : undefined,
      fixedrange: true,
      rangemode: "normal",
      nticks: 5,
    },
    shapes,
  };
}

function longest(spans, end) {
  const length = ({ from, to }) => (to ?? end) - from;
  return [...spans].sort((one, other) => length(other) - length(one)).slice(0, MOST_SPANS);
}

function span(history, { from, to }, tone, { alpha = 0.16, bottom = 0, top = 1, dash = "solid" } = {}) {
  return {
    type: "rect",
    xref: "x",
    yref: "paper",
    layer: "below",
    x0: drawn(Math.max(from, history.from)),
    x1: drawn(Math.min(to ?? history.to, history.to)),
    y0: bottom,
    y1: top,
    fillcolor: colour(tone, alpha),
    line: { color: colour(tone, 0.7), width: 1, dash },
  };
}

/* Times that were not scored, at the foot of the chart of scores; incidents over all of its height. In the chart of a
   sensor its own faults are darker, those of other sensors left out. */
function spans(history, sensor = null) {
  const incidents = history.incidents.filter((each) => !sensor || !each.sensor || each.sensor === sensor);
  const gaps = sensor ? [] : longest(history.gaps, history.to);
  return [
    ...gaps.map((each) => span(history, each, "idle", { alpha: 0.5, top: 0.04, dash: "dot" })),
    ...longest(incidents, history.to).map((each) => span(history, each, TONES[each.severity] ?? "warning", {
      alpha: !sensor ? 0.16 : each.sensor === sensor ? 0.28 : 0.08,
      dash: each.sensor ? "dash" : "solid",
    })),
  ];
}

export function scores(history) {
  const { score } = history;
  return {
    traces() {
      const kept = points(history);
      const x = times(history, kept);
      const [low, mean, high, threshold, status] =
        [score.low, score.mean, score.high, score.threshold, score.status].map((each) => among(each, kept));
      const said = status.map((each) =>
        (each === null || each === "scored" ? "" : escaped(`not scored: ${reason(each)}`)));
      return [
        band(x, low, high, colour("accent", 0.25)),
        line("score", x, mean, { line: { color: colour("accent"), width: 1.8 }, ...told("score %{y:.3g}") }),
        line("threshold", x, threshold, {
          line: { color: colour("critical"), width: 1.6, dash: "dash" },
          ...told("threshold %{y:.3g}"),
        }),
        line("status", x, said.map((words, at) => (words ? high[at] ?? 0 : null)), {
          line: { width: 0 },
          text: said,
          ...told("%{text}"),
        }),
      ];
    },
    layout() {
      const made = layout(history, "score", spans(history));
      return { ...made, height: 240, yaxis: { ...made.yaxis, rangemode: "tozero" } };
    },
  };
}

export function sensor(history, of) {
  return {
    traces() {
      const kept = points(history);
      const x = times(history, kept);
      const [low, mean, high, expected] = [of.low, of.mean, of.high, of.expected].map((each) => among(each, kept));
      const usual = of.usual === null
        ? []
        : [band(x, moved(expected, -of.usual), moved(expected, of.usual), colour("idle", 0.28))];
      return [
        ...usual,
        band(x, low, high, colour("accent", 0.22)),
        line("expected", x, expected, {
          line: { color: colour("dim"), width: 1.3, dash: "dot" },
          ...told("expected %{y:.4~g}"),
        }),
        line("actual", x, mean, { line: { color: colour("accent"), width: 1.6 }, ...told("actual %{y:.4~g}") }),
      ];
    },
    layout: () => ({ ...layout(history, "", spans(history, of.name)), height: 170 }),
  };
}

const moved = (values, by) => values.map((each) => (each === null ? null : each + by));

/* Where windows lie: the training's as a cloud, the asset's in the order of time, the newest marked. */
export function plane(of, time) {
  const windows = of.recent.x.map((x, at) => [x, of.recent.y[at], time[at]])
    .filter(([x, y]) => x !== null && y !== null);
  const [lastX, lastY] = windows.at(-1) ?? [null, null];
  const clock = (at) => new Date(drawn(at)).toISOString().slice(0, 19).replace("T", " ");
  return {
    traces: () => [
      {
        type: "scatter",
        mode: "markers",
        name: "training",
        x: of.training.x,
        y: of.training.y,
        hoverinfo: "skip",
        marker: { size: 5, color: colour("idle", 0.4), symbol: "circle" },
      },
      {
        type: "scatter",
        mode: "lines+markers",
        name: "this asset",
        x: windows.map(([x]) => x),
        y: windows.map(([, y]) => y),
        text: windows.map(([, , at]) => escaped(clock(at))),
        hovertemplate: "%{text}<extra></extra>",
        line: { color: colour("accent", 0.25), width: 1 },
        marker: {
          size: 6,
          color: windows.map((_, at) => colour("accent", 0.25 + (0.75 * (at + 1)) / windows.length)),
          symbol: "diamond",
        },
      },
      {
        type: "scatter",
        mode: "markers",
        name: "newest",
        x: [lastX],
        y: [lastY],
        hoverinfo: "skip",
        marker: { size: 15, color: colour("warning"), symbol: "circle-open", line: { width: 2.5 } },
      },
    ],
    layout: () => ({
      height: 340,
      hovermode: "closest",
      showlegend: false,
      margin: { l: 36, r: 10, t: 8, b: 28 },
      xaxis: { zeroline: false },
      yaxis: { zeroline: false },
    }),
  };
}

/* What an axis of a plane is mostly of. */
export const mostly = (of, at) =>
  of.axes[at].map((each) => `${each.loading < 0 ? "−" : ""}${each.words}`).join(", ");

/* What a chart says, for who cannot see it. */
export function inWords(history, of = null) {
  const values = (of ?? history.score).mean.filter((each) => each !== null);
  if (!values.length) return "nothing in this time";
  const [low, high, last] = [Math.min(...values), Math.max(...values), values.at(-1)]
    .map((each) => each.toPrecision(3));
  return `${of ? of.words ?? plain(of.name) : "score"}: from ${low} to ${high}, last ${last}`;
}
