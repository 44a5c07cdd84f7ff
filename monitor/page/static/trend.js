/* A small trend of an asset's score: the lowest and highest of each minute of the last hour, as one path of SVG, with
   what lies above the threshold in another one. Light enough for a thousand of them. */

import { attribute, svg } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 36;
const LEAST = 10; // minutes that are shown, where there is less of an hour
const HIGHEST = 3; // times the threshold: what lies above is drawn at the edge

/* The scores of one asset, minute by minute. */
export class Minutes {
  constructor(first, width, points) {
    this.first = first;
    this.width = width;
    this.low = new Array(points).fill(null);
    this.high = new Array(points).fill(null);
  }

  /* What the store knew. */
  fill([low, high]) {
    low.forEach((value, at) => this.put(at, value));
    high.forEach((value, at) => this.put(at, value));
  }

  /* A score that came; older ones go as time does. Returns whether the picture changes. */
  take(time, score) {
    if (score === null || time === null) return false;
    const points = this.low.length;
    let at = Math.floor((time - this.first) / this.width);
    const passed = at - points + 1; // minutes that came
    if (passed > 0) {
      const none = new Array(Math.min(passed, points)).fill(null);
      this.low = [...this.low, ...none].slice(-points);
      this.high = [...this.high, ...none].slice(-points);
      this.first += passed * this.width;
      at = points - 1;
    }
    return at >= 0 && this.put(at, score);
  }

  put(at, score) {
    if (score === null) return false;
    const low = this.low[at] === null ? score : Math.min(this.low[at], score);
    const high = this.high[at] === null ? score : Math.max(this.high[at], score);
    const changes = low !== this.low[at] || high !== this.high[at];
    this.low[at] = low;
    this.high[at] = high;
    return changes;
  }
}

/* The picture, and a function that draws it anew. Its words stand beside it, so it is hidden from screen readers. */
export function trend() {
  const usual = svg("path", { class: "trend-usual" });
  const above = svg("path", { class: "trend-above" });
  const line = svg("path", { class: "trend-threshold" });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  const node = svg("svg", { class: "trend", ...box, "aria-hidden": "true" }, usual, above, line);
  return { node, draw: (minutes, threshold) => draw(minutes, threshold, { usual, above, line }) };
}

function draw({ low, high }, threshold, { usual, above, line }) {
  const known = high.filter((value) => value !== null);
  const by = threshold ?? Math.max(...known, 1);
  const top = Math.min(Math.max(...known, 1.3 * by), HIGHEST * by);
  const y = (value) => (HEIGHT - 1 - (HEIGHT - 2) * Math.min(1, value / top)).toFixed(1);
  const from = Math.max(0, Math.min(high.findIndex((value) => value !== null), low.length - LEAST));
  const step = WIDTH / (low.length - from);
  let below = "";
  let over = "";
  for (let at = from; at < low.length; at += 1) {
    if (high[at] === null) continue;
    const before = at > 0 && high[at - 1] !== null;
    const least = before ? Math.min(low[at], high[at - 1]) : low[at];
    const most = before ? Math.max(high[at], low[at - 1]) : high[at];
    const left = (step * (at - from)).toFixed(1);
    const box = (start, end) => `M${left} ${y(start)}V${(y(end) - 1.5).toFixed(1)}h${step.toFixed(1)}V${y(start)}z`;
    if (threshold === null) below += box(least, most);
    else if (least < threshold) below += box(least, Math.min(most, threshold));
    if (threshold !== null && most > threshold) over += box(Math.max(least, threshold), most);
  }
  attribute(usual, "d", below || "M0 0");
  attribute(above, "d", over || "M0 0");
  attribute(line, "d", threshold === null ? "M0 0" : `M0 ${y(threshold)}H${WIDTH}`);
}
