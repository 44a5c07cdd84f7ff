/* What the charts of the lab have in common: how they are drawn, and the range between two lines. */

import { chart, colour } from "../charts.js";
import { el, put } from "../dom.js";

/* A chart, or in its place why there is none. */
export async function draw(node, traces, layout) {
  try {
    await chart(node, traces, layout);
  } catch (error) {
    put(node, el("p", { class: "dim" }, error.message));
  }
}

/* A function that draws it at the browser's next picture, however often it is called until then. */
export function drawer(node, traces, layout) {
  let due = null;
  return () => {
    due ??= requestAnimationFrame(() => {
      due = null;
      draw(node, traces, layout);
    });
  };
}

export const UNTOLD = { hoverinfo: "skip", showlegend: false };

/* Two lines that are not seen, and what lies between them. */
export function between(x, low, high, alpha, more = {}) {
  const unseen = { x, mode: "lines", line: { width: 0 } };
  return [
    { ...unseen, y: low, ...UNTOLD },
    { ...unseen, y: high, fill: "tonexty", fillcolor: colour("accent", alpha), ...more },
  ];
}

/* A line over the whole height of a chart. */
export const upright = (at, line) => ({ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line });
