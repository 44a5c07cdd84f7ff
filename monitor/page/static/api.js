/* What the page asks the daemon: answers and mistakes in words, the token, and the live stream. */

import { now } from "./times.js";

const KEY = "enginewatch.token";
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
export const AWAY = "the daemon does not answer";
const QUIET_MS = 40_000; // the daemon says something every 15 seconds

/* Something was refused or could not be asked: `message` says it in words, `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

const SENDABLE = /^[ -~]+$/; // what a header can hold

let askToken = async () => null; // set by the shell: asks whoever looks, who is told why
let asking = null;
let held = token();
const waiting = new Set(); // for a token that the daemon takes

export function onTokenWanted(ask) {
  askToken = ask;
}

function token() {
  try {
    const kept = sessionStorage.getItem(KEY);
    return kept && SENDABLE.test(kept) ? kept : null;
  } catch {
    return null;
  }
}

/* The daemon has taken it, or takes it no more: null. */
function keep(value) {
  try {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  } catch {
    /* storage is closed: it is asked for again after a reload */
  }
  if (value === null) return;
  for (const resolve of waiting) resolve();
  waiting.clear();
}

/* A token that can be sent, of whoever looks; null where they have none. */
async function sign(why) {
  for (let words = why; ; words = "No token has such letters: it is of plain letters, digits and signs.") {
    const given = (await askToken(words))?.trim() ?? null;
    if (given === null || SENDABLE.test(given)) return given;
  }
}

/* One request; asks for the token where it is wanted, once for all who wait. */
async function ask(path, options = {}) {
  for (;;) {
    const sent = held;
    const headers = { ...options.headers, ...(sent ? { Authorization: `Bearer ${sent}` } : {}) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(AWAY);
    }
    if (answer.status !== 401) {
      if (sent && (waiting.size || sent !== token())) keep(sent);
      return answer;
    }
    if (held !== sent) continue; // another request has brought it meanwhile
    if (!asking) {
      keep(null);
      asking = sign(sent === null ? "" : "The daemon does not take that token.").finally(() => {
        asking = null;
      });
    }
    const given = await asking;
    if (given === null) {
      throw new ApiError("this needs the token of the settings (http.token)", 401);
    }
    held = given;
  }
}

async function json(answer) {
  let said = null;
  try {
    said = await answer.json();
  } catch {
    /* no JSON: told below */
  }
  if (!answer.ok && said?.done === undefined) {
    throw new ApiError(said?.error ?? `the daemon answered ${answer.status}`, answer.status);
  }
  return said;
}

/* GET as JSON. `path` is relative: "api/v1/fleet". Raises ApiError; AbortError where `signal` ended it. */
export const get = async (path, { signal } = {}) => json(await ask(path, { signal }));

/* POST of JSON, or of a body with a content type of its own. Raises ApiError. */
export async function post(path, body, { signal, type = "application/json" } = {}) {
  const given = type === "application/json" ? JSON.stringify(body) : body;
  return json(await ask(path, { method: "POST", body: given, headers: { "Content-Type": type }, signal }));
}

export const command = (fields) =>
  post("api/v1/commands", { id: identifier(), who: "page", ts: Math.round(now()), ...fields });

/* Every command has an id of its own, so that it is carried out once. crypto.randomUUID is there on https alone. */
export function identifier() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(random, (each) => each.toString(16).padStart(2, "0")).join("")}`;
}

/* Reads the live stream for ever: `take(event, data)` for each event, `tell(connected, why)` as that changes.
   Comes back with pauses that double. Returns a function that ends it. */
export function listen(path, take, tell) {
  const ended = new AbortController();
  (async () => {
    let pause = FIRST_PAUSE_MS;
    while (!ended.signal.aborted) {
      const attempt = new AbortController();
      const stop = () => attempt.abort();
      ended.signal.addEventListener("abort", stop);
      try {
        const answer = await ask(path, { signal: attempt.signal, headers: { Accept: "text/event-stream" } });
        if (!answer.ok) await json(answer);
        pause = FIRST_PAUSE_MS;
        tell(true, "");
        await events(answer.body.getReader(), take, stop);
        tell(false, "the daemon ended the connection");
      } catch (error) {
        if (!ended.signal.aborted) tell(false, error instanceof ApiError ? error.message : "the connection broke off");
        // Whoever looks has no token: they are not asked again and again, but may sign in by something else.
        if (error.status === 401) await new Promise((resolve) => waiting.add(resolve));
      } finally {
        attempt.abort();
        ended.signal.removeEventListener("abort", stop);
      }
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  })();
  return () => ended.abort();
}

/* The events of a stream until its end; `stop` is called where it has been silent for too long. */
async function events(reader, take, stop) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const timer = setTimeout(stop, QUIET_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      const named = Object.fromEntries(lines.map(field));
      if (named.event) take(named.event, JSON.parse(named.data));
    }
  }
}

/* A line of an event, as name and value. */
function field(line) {
  const at = line.indexOf(":");
  return [line.slice(0, at), line.slice(at + 1).trim()];
}
