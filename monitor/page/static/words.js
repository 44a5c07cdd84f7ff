/* How things are called and numbers are told, the same in every view. */

import { now } from "./times.js";

/* States of an asset, worst first: {word, shape, tone, means}. `state` of a row of the fleet is one of these names. */
export const STATES = {
  critical: { word: "critical", shape: "octagon", tone: "critical", means: "a critical incident is open" },
  warning: { word: "warning", shape: "triangle", tone: "warning", means: "an incident is open" },
  silent: { word: "silent", shape: "cross", tone: "warning", means: "nothing arrives of it" },
  "no model": { word: "no model", shape: "frame", tone: "idle", means: "its class has no model" },
  relearning: { word: "relearning", shape: "half", tone: "busy", means: "its threshold is being learned anew" },
  commissioning: { word: "commissioning", shape: "half", tone: "busy", means: "its own level is being learned" },
  warming: { word: "warming up", shape: "half", tone: "busy", means: "its window is not full yet" },
  learning: { word: "learning", shape: "diamond", tone: "busy", means: "recorded to make a model of" },
  watched: { word: "watched", shape: "circle", tone: "good", means: "scored and judged" },
  maintenance: { word: "maintenance", shape: "wrench", tone: "busy", means: "it is worked on" },
  resting: { word: "not running", shape: "bars", tone: "idle", means: "in a regime that is not scored" },
  offline: { word: "offline", shape: "ring", tone: "idle", means: "it said goodbye" },
};
const UNKNOWN = { word: "unknown", shape: "frame", tone: "idle", means: "" };

export const state = (name) => STATES[name] ?? { ...UNKNOWN, word: name || UNKNOWN.word };

/* What a row of the fleet is: who works on an asset knows of its incidents. */
export const stateOf = (row) => (row.maintenance?.begun ? "maintenance" : row.state);

/* Severities and lives of incidents. */
export const SEVERITIES = { critical: STATES.critical, warning: STATES.warning };
export const LIVES = {
  fired: { word: "open", shape: "triangle", tone: "warning" },
  acknowledged: { word: "acknowledged", shape: "half", tone: "busy" },
  shelved: { word: "shelved", shape: "bars", tone: "idle" },
  unshelved: { word: "open again", shape: "triangle", tone: "warning" },
  cleared: { word: "cleared", shape: "circle", tone: "good" },
  accepted: { word: "accepted as normal", shape: "circle", tone: "good" },
  commented: { word: "commented", shape: "diamond", tone: "busy" },
  verdict: { word: "judged", shape: "diamond", tone: "busy" },
};

/* How a part of the daemon is: health's words. */
export const HEALTH = {
  good: { word: "works", shape: "circle", tone: "good" },
  degraded: { word: "degraded", shape: "triangle", tone: "warning" },
  failed: { word: "failed", shape: "octagon", tone: "critical" },
  idle: { word: "idle", shape: "bars", tone: "idle" },
  off: { word: "off", shape: "ring", tone: "idle" },
};

/* Kinds of incidents. */
export const KINDS = {
  anomaly: "anomaly",
  stale: "no data",
  blind: "not scored",
  limit: "beyond its limits",
  sensor_range: "sensor out of range",
  sensor_stuck: "sensor stuck",
  sensor_dropout: "sensor missing",
  sensor_noise: "sensor noisy",
  sensor_rate: "sensor leaps",
  sensor_spikes: "sensor spikes",
};
export const kind = (name) => KINDS[name] ?? plain(name);

/* Why a time was not scored. */
const REASONS = {
  unknown: "nothing is known of it",
  no_model: "no model",
  warming_up: "warming up",
  gap: "warming up after a silence",
  too_few_sensors: "too few sensors",
  blanked: "after a start",
};
export const reason = (name) => REASONS[name] ?? plain(name);

/* A name as words: coolant_temperature -> coolant temperature. */
export const plain = (name) => String(name ?? "").replaceAll("_", " ");

/* A number with so many significant digits as people read; "–" where there is none. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value))) + 1;
  const places = Math.max(0, Math.min(6, digits - size));
  return value.toLocaleString("en-GB", { minimumFractionDigits: 0, maximumFractionDigits: places });
}

/* A unit as it is shown: a ratio (unit "1", as UCUM writes it) has none to read. */
export const unitOf = (unit) => (unit === "1" ? "" : unit ?? "");

export const withUnit = (value, unit, digits = 3) =>
  value === null || value === undefined ? "–" : `${number(value, digits)}${unit ? ` ${unit}` : ""}`;

/* A share as per cent: never 100 % where something is missing, never 0 % where something is there. */
export function percent(share) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${number(100 * share, share < 0.1 ? 2 : 3)} %`;
}

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = count;
  let at = 0;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  return `${number(size, 3)} ${units[at]}`;
}

/* "1 asset", "2 assets". */
export const count = (number_, word, plural = `${word}s`) =>
  `${Number(number_).toLocaleString("en-GB")} ${number_ === 1 ? word : plural}`;

/* A length of time in ms, in its two largest units: 3 h 20 min. */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  const seconds = Math.max(0, Math.round(ms / 1000));
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [word, size] = units[first];
  const whole = Math.floor(seconds / size);
  const [next, below] = units[first + 1] ?? [null, 1];
  const rest = next === null ? 0 : Math.floor((seconds % size) / below);
  return rest && whole < 10 ? `${whole} ${word} ${rest} ${next}` : `${whole} ${word}`;
}

/* "12 s ago"; "now" within two seconds; "–" where it never was. */
export function ago(time) {
  if (time === null || time === undefined) return "–";
  const ms = now() - time;
  return ms < 2000 ? "now" : `${duration(ms)} ago`;
}

/* site/area/asset without an empty area, as people read it. */
export function assetName(key) {
  return String(key).split("/").filter(Boolean).at(-1) ?? String(key);
}
export const assetPlace = (key) => String(key).split("/").slice(0, -1).filter(Boolean).join(" / ");

/* Where an asset's view is; `range` as it reads it. */
export const assetAddress = (key, range = "") =>
  `#/asset/${encodeURIComponent(key)}${range && `/${range}`}`;
export const site = (key) => String(key).split("/")[0];
