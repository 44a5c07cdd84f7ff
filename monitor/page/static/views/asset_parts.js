/* What stands around the charts of an asset: made of its `History`, its row of the fleet and its map. */

import { badge, el, figure } from "../dom.js";
import { now, when } from "../times.js";
import {
  ago, count, duration, LIVES, number, percent, plain, reason, SEVERITIES, state, stateOf,
} from "../words.js";
import { mostly } from "./asset_charts.js";
import { addressOf, severityOf } from "./incidents.js";

const MOST_BARS = 12;
const MOST_INCIDENTS = 20;
const MOST_GAPS = 12;
const MOST_NAMED = 5; // sensors

/* How much of time a point of a chart stands for. */
export const width = (ms) => (ms < 1000 ? `${ms} ms` : ms < 10_000 ? `${number(ms / 1000, 2)} s` : duration(ms));

/* Since when an incident is open; it grows with every second. */
export const since = (each) => `since ${when(each.from)}, ${duration(now() - each.from)}`;

/* An open incident: what is wrong, since when, which sensor says so, what to do. */
export function wrong(each, acknowledge) {
  const firing = each.state === "firing";
  return el("div", { class: "wrong", dataset: { tone: each.severity === "critical" ? "critical" : "warning" } },
    el("div", { class: "row" },
      badge(severityOf(each)),
      el("strong", {}, el("a", { href: addressOf(each) }, each.title)),
      el("span", { class: "dim since" }, since(each)),
      !firing && badge(LIVES[each.state] ?? LIVES.fired)),
    el("p", {}, each.summary),
    el("p", { class: "dim" }, each.to_do),
    firing && el("div", { class: "row" },
      el("button", { type: "button", class: "primary", onclick: () => acknowledge(each) }, "Acknowledge"),
      el("a", { class: "button", href: addressOf(each) }, "Everything of it")));
}

/* How it stands, in badges: what it is, and the incident that is open while it is worked on. */
export function badges(row) {
  if (!row) return badge(state(""));
  const is = stateOf(row);
  return [badge(state(is)), row.severity && is !== row.severity && badge(SEVERITIES[row.severity])];
}

/* Why nobody is alarmed. */
export function worked({ until, who, why }) {
  const by = `${who ? ` (${who})` : ""}${why ? `: ${why}` : ""}`;
  return `It is worked on until ${when(until)}${by}. Nothing is scored, nobody is alarmed.`;
}

/* Why nothing is wrong, or why that is not known. */
export function well(row) {
  if (!row) return "The daemon does not know how it stands just now.";
  if (row.state === "watched") {
    const judged = row.score !== null && row.score !== undefined && row.threshold;
    const at = judged ? `, at ${percent(row.score / row.threshold)} of its threshold` : "";
    if (judged && row.score > row.threshold) return `It is above its threshold${at}; no incident is open yet.`;
    return `Nothing is wrong: scored and judged${at}.`;
  }
  if (row.severity) return "An incident has just begun: what is wrong is being looked up.";
  const { means } = state(row.state ?? "");
  return `No incident is open. It is ${row.status}${means ? `: ${means}` : ""}.`;
}

/* How it stands in figures. `row` is the fleet's, undefined where it has none; `told` is it or what the store knew. */
export function figures(row, told, coverage, never) {
  const drift = told.drift && (told.drift.stands === "not yet" ? "not known yet" : told.drift.stands);
  const unscored = Object.entries(coverage?.reasons ?? {}).slice(0, 2)
    .map(([why, share]) => `${reason(why)} ${percent(share)}`);
  return [
    figure("Score", row ? number(row.score) : "–",
      told.threshold === null ? "not judged" : `threshold ${number(told.threshold)}`),
    figure("Regime", plain(told.regime) || "–"),
    figure("Model", told.model || "none", told.class),
    figure("Fits its model", drift ?? "–", told.drift?.why?.[0]),
    figure("Scored, 24 h", percent(row?.coverage?.share ?? coverage?.share ?? null), unscored.join(", ")),
    figure("Last heard", ago(told.heard)),
    never.length > 0 && figure("Never reported", count(never.length, "sensor"), named(never)),
  ];
}

const named = (sensors) =>
  sensors.slice(0, MOST_NAMED).map(plain).join(", ") + (sensors.length > MOST_NAMED ? ", …" : "");

/* What each sensor contributes to the score, beside the threshold. */
export function bars(history, threshold) {
  const told = history.contributions;
  if (!told) return el("p", { class: "dim" }, "Nothing was scored lately, so no sensor says anything.");
  const words = new Map([...history.sensors, ...history.others].map((each) => [each.name, each.words]));
  const shown = told.of.filter((each) => each.contribution !== null).slice(0, MOST_BARS);
  const most = Math.max(1.2 * (threshold ?? 0), ...shown.map((each) => each.contribution), 1e-9);
  const marked = threshold === null ? "" : `; the mark is the threshold, ${number(threshold)}`;
  return [
    el("p", { class: "dim" }, `Each sensor's own part of the score at ${when(told.time)}${marked}.`),
    el("ul", { class: "bars" }, shown.map(({ name, contribution }) =>
      bar(words.get(name) ?? plain(name), contribution, threshold, most))),
  ];
}

function bar(name, contribution, threshold, most) {
  const over = threshold !== null && contribution > threshold;
  const fill = el("span", { class: "bar-fill", dataset: { tone: over ? "critical" : "busy" } });
  fill.style.width = `${(100 * contribution) / most}%`;
  const mark = threshold !== null && el("span", { class: "bar-mark" });
  if (mark) mark.style.left = `${(100 * threshold) / most}%`;
  return el("li", {},
    el("span", {}, name),
    el("span", { class: "bar-room", "aria-hidden": "true" }, fill, mark),
    el("span", { class: "number" },
      number(contribution),
      over && el("span", { class: "visually-hidden" }, " above the threshold")));
}

/* What a plane of the map shows, and what its axes are made of. */
export function mapWords(map, of) {
  if (!map.time.length) return "No row of the asset lies in this range.";
  const shows = `${of.words[0].toUpperCase()}${of.words.slice(1)}`;
  const [across, upwards] = of.shares.map(percent);
  return `${shows}, beside ${map.windows.toLocaleString("en-GB")} training windows. `
    + `Across: mostly ${mostly(of, 0)} (${across} of how they differ); upwards: mostly ${mostly(of, 1)} (${upwards}). `
    + `Each point of the asset is ${width(map.width)}.`;
}

/* Incidents of the range. */
export function past({ incidents }) {
  if (!incidents.length) return el("p", { class: "dim" }, "There was none.");
  return el("ul", { class: "plain" }, incidents.slice(0, MOST_INCIDENTS).map((each) => {
    const lasted = each.to === null ? "still open" : `for ${duration(each.to - each.from)}`;
    return el("li", {},
      el("a", { href: addressOf(each) }, each.title), " ",
      badge(each.open ? severityOf(each) : LIVES[each.state] ?? LIVES.cleared),
      el("small", { class: "block" }, `${when(each.from)}, ${lasted}`));
  }));
}

/* How much of a day was scored, and the latest times of the range that were not. */
export function gaps({ coverage, gaps: all, score }) {
  const running = coverage && coverage.share_running !== null;
  const day = coverage && el("p", {},
    `In the last 24 h ${percent(coverage.share)} of the time was scored`,
    running && `, of its running time ${percent(coverage.share_running)}`,
    ".");
  const latest = all.slice(-MOST_GAPS).reverse();
  if (latest.length) {
    return [day, el("ul", { class: "plain" }, latest.map((each) => el("li", {},
      reason(each.reason),
      el("small", { class: "block" }, `${when(each.from)}, for ${duration(each.to - each.from)}`))))];
  }
  const known = score.rows.some((each) => each);
  return [day, el("p", { class: "dim" },
    known ? "All of this range was scored, as far as is known." : "Nothing is known of this range.")];
}
