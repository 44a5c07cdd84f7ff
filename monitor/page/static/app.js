/* The shell: views by the address, the live state that all of them share, and what they may ask of the page.

   A view is a module of the table below. It exports

     export async function show(root, parameters, page) -> {update(live), close()}   (either may be left out)

   `root` is an empty element that is the view's own, `parameters` the decoded parts of the address behind its name
   (#/asset/plant%2F%2Fp1 -> ["plant//p1"]). `show` sets no heading of the document: the page's h1 is the view's, and
   so is what `page.title(text)` sets. `update` is called as the live state changes, at most once a second; `close`
   when another view comes, after `page.signal` was aborted.

   `page` offers
     get(path, {signal})      JSON of a GET; path is relative ("api/v1/fleet"). Throws ApiError with words in `message`.
                              Without a signal it is given up when the view closes.
     post(path, body, {type}) JSON of a POST; a body of another type than JSON is sent as it is.
     command(fields)          POST /api/v1/commands with id, who and ts added -> {done, reply}
     live                     the latest state: {summary, assets: Map(key -> row), connected, changed: Set(keys)}
     mistake(error, tone)     the same for what was thrown, but not for what the closing view gave up; "warning" without
     say(text, tone)          tells it in a corner, and to screen readers; tone "good", "warning" or "critical"
     confirm({title, text, fields, action, carryOut}) -> values of the fields by name, or null where it was left; see
                              dialog.js. fields: [{name, label, type, value, options, required, hint}]; type is
                              "text" (without one), "textarea", "select" with options [{value, label}], "number",
                              "datetime-local"
     go(hash)                 another view: "#/asset/…"
     title(text)              of the document
     signal                   AbortSignal that ends with the view
   A mistake that `show` throws is told in place of the view. */

import * as api from "./api.js";
import { confirm } from "./dialog.js";
import { el, put, text } from "./dom.js";
import { hear, now, when } from "./times.js";

/* name: first part of the address; title: in the navigation, which shows those with a title; under: whose entry it
   is, and where an address leads that does not say of what (`of`) it is. */
const VIEWS = [
  { name: "fleet", title: "Fleet", module: "./views/fleet.js" },
  { name: "asset", under: "fleet", of: "asset", module: "./views/asset.js" },
  { name: "incidents", title: "Incidents", module: "./views/incidents.js" },
  { name: "incident", under: "incidents", of: "id", module: "./views/incident.js" },
  { name: "lab", title: "Lab", module: "./views/lab.js" },
  { name: "health", title: "Health", module: "./views/health.js" },
];

const BESIDE_MS = 1000; // after the page was loaded: what is looked at comes first

const main = document.getElementById("main");
const live = { summary: null, assets: new Map(), connected: false, changed: new Set() };
let shown = null; // {name, view, ended}

/* -- views by the address --------------------------------------------------------------------------------------- */

async function route(event = null) {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const entry = VIEWS.find((each) => each.name === name);
  if (!entry || (entry.of && !rest[0])) {
    location.replace(`#/${entry?.under ?? VIEWS[0].name}`);
    return;
  }
  close();
  const ended = new AbortController();
  const current = { name, view: null, ended };
  shown = current;
  mark(entry.under ?? entry.name);
  document.title = `${entry.title ?? "Enginewatch"} · Enginewatch`;
  const root = el("div", { class: `view view-${name}` });
  put(main, root);
  try {
    const module = await import(entry.module).catch(unreached);
    if (shown !== current) return;
    const parameters = rest.map(decoded);
    const view = (await module.show(root, parameters, offered(ended.signal))) ?? {};
    if (shown !== current) {
      view.close?.();
      return;
    }
    current.view = view;
    if (live.summary) {
      live.changed = new Set(live.assets.keys()); // all of it is new to this view
      view.update?.(live);
    }
    if (event) face(root);
  } catch (error) {
    if (shown !== current || error.name === "AbortError") return;
    put(main, failure(error));
    if (event) face(main);
  }
}

/* A module that cannot be had, where the browser's own words would tell nobody anything. */
function unreached(error) {
  throw error instanceof TypeError ? new api.ApiError(api.AWAY) : error;
}

/* Who went to another view begins at its heading, unless they are in the midst of something already. */
function face(root) {
  const heading = root.querySelector("h1");
  if (!heading || root.contains(document.activeElement) || document.querySelector("dialog[open]")) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function close() {
  if (!shown) return;
  shown.ended.abort();
  shown.view?.close?.();
  shown = null;
}

function failure(error) {
  if (!(error instanceof api.ApiError)) console.error(error);
  return el("div", { class: "empty" },
    el("h1", {}, "This cannot be shown"),
    el("p", {}, error.message),
    el("button", { type: "button", onclick: () => route() }, "Try again"));
}

function mark(name) {
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.name === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

put(document.getElementById("views"),
  VIEWS.filter((each) => each.title && !each.under)
    .map((each) => el("a", { href: `#/${each.name}`, dataset: { name: each.name } }, each.title)));

/* -- what views are offered -------------------------------------------------------------------------------------- */

function offered(signal) {
  return {
    live,
    signal,
    say,
    mistake,
    confirm: (question) => confirm(question, signal),
    get: (path, options = {}) => api.get(path, { signal, ...options }),
    post: (path, body, options = {}) => api.post(path, body, options),
    command: api.command,
    go: (hash) => {
      location.hash = hash;
    },
    title: (words) => {
      document.title = `${words} · Enginewatch`;
    },
  };
}

const TOAST_MS = 6000;
const MOST_TOASTS = 4;

function say(words, tone = "good") {
  const toasts = document.getElementById("toasts");
  const toast = el("div", { class: "toast", dataset: { tone } }, words);
  toasts.append(toast);
  while (toasts.childElementCount > MOST_TOASTS) toasts.firstElementChild.remove();
  setTimeout(() => toast.remove(), TOAST_MS);
}

function mistake(error, tone = "warning") {
  if (error.name !== "AbortError") say(error.message, tone);
}

/* The token, once a tab. Returns null where whoever looks has none. */
api.onTokenWanted(async (why) => {
  const values = await confirm({
    title: "Sign in",
    text: why || "Others can reach this port, so the daemon wants a token. "
      + "It is http.token of its settings, and is kept in this tab alone.",
    fields: [{ name: "token", label: "Token", type: "password", required: true }],
    action: "Sign in",
  });
  return values?.token ?? null;
});

/* -- the live state ---------------------------------------------------------------------------------------------- */

function take(event, data) {
  if (data.summary?.time) hear(data.summary.time);
  heard = now();
  if (event === "state") {
    const before = live.assets.keys();
    live.assets = new Map(data.assets.map((row) => [row.asset, row]));
    live.summary = data.summary;
    live.changed = new Set([...before, ...live.assets.keys()]); // what was gone meanwhile as well
  } else if (event === "change") {
    live.changed = new Set();
    for (const row of data.assets) {
      const known = live.assets.get(row.asset);
      if (known) Object.assign(known, row);
      else live.assets.set(row.asset, row);
      live.changed.add(row.asset);
    }
    for (const key of data.gone) {
      live.assets.delete(key);
      live.changed.add(key);
    }
    Object.assign(live.summary, data.summary);
  } else {
    return;
  }
  notice();
  shown?.view?.update?.(live);
}

let heard = now(); // last: a computer that sleeps hears nothing, and is told of no end
let why = "";

function tell(connected, words) {
  live.connected = connected;
  why = words;
  notice();
}

/* What everybody has to know, whatever they look at: no connection, nothing scored. */
function notice() {
  const connection = document.getElementById("connection");
  connection.dataset.tone = live.connected ? "good" : "critical";
  text(connection, live.connected ? "live" : "not connected");
  const bar = document.getElementById("notice");
  const away = why && `Not connected since ${when(heard)}: ${why}. What is shown is of then.`;
  const trouble = live.connected ? live.summary?.trouble ?? "" : away;
  bar.hidden = !trouble;
  bar.dataset.tone = live.connected ? "warning" : "critical";
  if (trouble) text(bar, trouble);
}

/* -- the theme --------------------------------------------------------------------------------------------------- */

const THEMES = ["", "light", "dark"];
const button = document.getElementById("theme");

function theme() {
  const now = document.documentElement.dataset.theme ?? "";
  text(button, { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" }[now]);
}

button.addEventListener("click", () => {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % THEMES.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  try {
    localStorage.setItem("enginewatch.theme", next);
  } catch {
    /* storage is closed: it holds until the page is left */
  }
  theme();
  dispatchEvent(new Event("enginewatch:theme"));
});
theme();

/* A browser has six connections to a daemon, for all its tabs and for pages it keeps in case somebody goes back: a page
   that nobody sees gives its own up, and asks for the whole state when it is seen again. */

const UNSEEN_MS = 60_000;
let ending = null; // ends the stream
let resting = 0;

function listen() {
  ending ??= api.listen("api/v1/live", take, tell);
}

function rest() {
  ending?.();
  ending = null;
  tell(false, "nobody looked at this page");
}

addEventListener("pagehide", rest);
addEventListener("pageshow", (event) => event.persisted && listen());
document.addEventListener("visibilitychange", () => {
  clearTimeout(resting);
  if (document.hidden) resting = setTimeout(rest, UNSEEN_MS);
  else listen();
});

/* -- beginning --------------------------------------------------------------------------------------------------- */

addEventListener("hashchange", route);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names a view
  main.focus();
});
listen();
route();
// Views that were not opened yet can be opened while the daemon is away, too.
addEventListener("load", () => setTimeout(() => {
  for (const entry of VIEWS) import(entry.module).catch(() => null); // told where it is opened
}, BESIDE_MS));
