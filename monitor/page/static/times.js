/* Moments by the clock of whoever looks, or in UTC, as they chose: in all views, and in charts. */

const KEY = "enginewatch.utc";
let utc = false;
try {
  utc = localStorage.getItem(KEY) === "yes";
} catch {
  /* storage is closed: the browser's zone */
}

export const isUtc = () => utc;
export const zone = () => (utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone);

export function useUtc(wanted) {
  utc = wanted;
  try {
    localStorage.setItem(KEY, wanted ? "yes" : "no");
  } catch {
    /* it holds until the page is left */
  }
}

/* What time it is by the daemon's clock, of which every time that it tells is. The stream says how far it is ahead of
   the browser's: what has come quickest is nearest to it, and a leap is one of either clock. */
const LEAP_MS = 2000;
let ahead = null;

export function hear(time) {
  const by = time - Date.now();
  if (ahead === null || by > ahead || by < ahead - LEAP_MS) ahead = by;
}
export const now = () => Date.now() + (ahead ?? 0);

/* A moment in words: the date only where it is not today. */
export function when(time) {
  if (time === null || time === undefined) return "–";
  const at = new Date(time);
  const options = utc ? { timeZone: "UTC" } : {};
  const day = (date) => date.toLocaleDateString("en-CA", options);
  const clock = `${at.toLocaleTimeString("en-GB", options)}${utc ? " UTC" : ""}`;
  return day(new Date(now())) === day(at) ? clock : `${day(at)} ${clock}`;
}

/* plotly.js draws every time as UTC: a moment as it has to be given, so that it shows the chosen clock … */
export const drawn = (time) => (utc ? time : time - new Date(time).getTimezoneOffset() * 60_000);

/* … and a moment of a chart as it was: "2026-11-30 20:15:07.5" or a number. */
export function asked(shown) {
  const there = typeof shown === "number" ? shown : parsed(String(shown));
  if (utc) return there;
  const near = there + new Date(there).getTimezoneOffset() * 60_000;
  return there + new Date(near).getTimezoneOffset() * 60_000;
}

const parsed = (words) => Date.parse(`${words.replace(" ", "T")}${/\d:\d/.test(words) ? "" : "T00:00"}Z`);

/* A moment for an <input type="datetime-local">, and back; these are always by the browser's own clock. */
export function toInput(time) {
  const at = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 16);
}
export const fromInput = (value) => new Date(value).getTime();
