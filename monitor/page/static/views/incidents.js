/* All incidents: open ones first, with what can be said of several at once; then past ones, page by page. */

import { together } from "../actions.js";
import { badge, el, put } from "../dom.js";
import { when } from "../times.js";
import { assetName, assetPlace, count, duration, KINDS, kind, LIVES, SEVERITIES } from "../words.js";

const OPEN = 200;
const PAST = 50;
const EVERY_MS = 5000; // at the least, between two looks at the open ones

const FIRING = LIVES.fired;
export const lifeOf = (incident) => LIVES[incident.state] ?? FIRING;
export const severityOf = (incident) => SEVERITIES[incident.severity] ?? SEVERITIES.warning;
export const waits = (incident) => incident.open && incident.state === "firing"; // to be acknowledged
export const addressOf = (incident) => `#/incident/${encodeURIComponent(incident.id)}`;
export const VERDICTS = { real: "real fault", false: "false alarm" };

export async function show(root, _, page) {
  page.title("Incidents");
  const chosen = new Set(); // ids
  const filters = { text: "", kind: "" };
  let open = [];
  let past = [];
  let next = null;
  let looked = 0;
  let looking = false;

  const bulk = el("button", { type: "button", disabled: true, onclick: acknowledge }, "Acknowledge selected");
  const many = el("span", { class: "dim", role: "status" });
  const openList = el("div", { class: "table" });
  const pastList = el("div", { class: "table" });
  const more = el("button", { type: "button", hidden: true, onclick: () => lookBack() }, "Older ones");
  const search = el("input", {
    type: "search", placeholder: "Asset or words", "aria-label": "Filter by asset or words",
    oninput: (event) => { filters.text = event.target.value.trim().toLowerCase(); draw(); },
  });
  const kinds = el("select", { "aria-label": "Filter by kind", onchange: (event) => { filters.kind = event.target.value; lookBack(true); draw(); } },
    el("option", { value: "" }, "every kind"), Object.entries(KINDS).map(([value, words]) => el("option", { value }, words)));
  put(root,
    el("div", { class: "view-head" }, el("h1", {}, "Incidents"), el("div", { class: "row" }, search, kinds)),
    el("section", { class: "card", "aria-labelledby": "open-title" },
      el("div", { class: "view-head" }, el("h2", { id: "open-title" }, "Open"), many, el("div", { class: "actions" }, bulk)), openList),
    el("section", { class: "card", "aria-labelledby": "past-title" }, el("h2", { id: "past-title" }, "Past"), pastList, el("p", { class: "row" }, more)));

  await Promise.all([lookOpen(), lookBack(true)]);

  async function lookOpen() {
    looking = true;
    looked = Date.now();
    try {
      open = (await page.get(`api/v1/incidents?open=1&limit=${OPEN}`)).incidents;
      const there = new Set(open.filter(waits).map((each) => each.id));
      for (const id of chosen) if (!there.has(id)) chosen.delete(id);
      draw();
    } finally {
      looking = false;
    }
  }

  async function lookBack(anew = false) {
    const of = new URLSearchParams({ open: "0", limit: String(PAST) });
    if (filters.kind) of.set("kind", filters.kind);
    if (!anew && next) of.set("before", next);
    const found = await page.get(`api/v1/incidents?${of}`);
    past = anew ? found.incidents : [...past, ...found.incidents];
    next = found.next;
    more.hidden = !next;
    draw();
  }

  function fits(each) {
    const words = `${each.asset} ${each.title} ${each.summary} ${each.who}`.toLowerCase();
    return (!filters.kind || each.kind === filters.kind) && words.includes(filters.text);
  }

  function draw() {
    const shownOpen = open.filter(fits);
    const shownPast = past.filter(fits);
    many.textContent = open.length === OPEN ? `the latest ${OPEN}` : count(open.length, "incident");
    bulk.disabled = !chosen.size;
    bulk.textContent = chosen.size ? `Acknowledge ${chosen.size} selected` : "Acknowledge selected";
    put(openList, shownOpen.length ? table(shownOpen, true) : el("p", { class: "dim" }, open.length ? "None of the open ones fits the filter." : "Nothing is open: every engine that is watched runs as usual."));
    put(pastList, shownPast.length ? table(shownPast, false) : el("p", { class: "dim" }, past.length ? "None of those shown fits the filter; older ones may." : "There were none yet."));
  }

  function table(incidents, choosable) {
    const all = choosable && el("input", {
      type: "checkbox", "aria-label": "Select all", checked: incidents.filter(waits).every((each) => chosen.has(each.id)) && incidents.some(waits),
      onchange: (event) => {
        for (const each of incidents.filter(waits)) if (event.target.checked) chosen.add(each.id); else chosen.delete(each.id);
        draw();
      },
    });
    return el("table", { class: "incidents" },
      el("thead", {}, el("tr", {}, choosable && el("th", { class: "choose" }, all),
        el("th", { scope: "col" }, "What"), el("th", { scope: "col" }, "Asset"), el("th", { scope: "col" }, "Began"), el("th", { scope: "col" }, choosable ? "For" : "Lasted"), el("th", { scope: "col" }, "State"))),
      el("tbody", {}, incidents.map((each) => row(each, choosable))));
  }

  function row(each, choosable) {
    const box = choosable && el("input", {
      type: "checkbox", checked: chosen.has(each.id), disabled: !waits(each), "aria-label": `Select ${each.title} of ${each.name}`,
      onchange: (event) => {
        if (event.target.checked) chosen.add(each.id); else chosen.delete(each.id);
        draw();
      },
    });
    return el("tr", {}, choosable && el("td", { class: "choose" }, box),
      el("td", { class: "what" }, el("a", { href: addressOf(each) }, each.title || kind(each.kind)), el("p", {}, each.summary)),
      el("td", { class: "name" }, el("a", { href: `#/asset/${encodeURIComponent(each.asset)}` }, assetName(each.asset)), el("small", { class: "block" }, assetPlace(each.asset))),
      el("td", { class: "time" }, when(each.from)),
      el("td", { class: "time" }, duration((each.to ?? Math.max(Date.now(), each.from)) - each.from)),
      el("td", {}, badge(each.open ? severityOf(each) : lifeOf(each), each.open ? each.severity : lifeOf(each).word),
        el("small", { class: "block" }, each.open && each.state !== "firing" ? `${lifeOf(each).word}${each.who ? ` by ${each.who}` : ""}${each.until ? ` until ${when(each.until)}` : ""}` : VERDICTS[each.verdict] ?? "")));
  }

  async function acknowledge() {
    const several = open.filter((each) => chosen.has(each.id)).map((each) => ({ incident: each.id, asset: each.asset }));
    if (!(await together(page, "acknowledge", several, count(several.length, "incident")))) return;
    chosen.clear();
    await lookOpen();
  }

  let known = -1;
  return {
    /* The number of open ones changed, or some time has passed: look again. */
    update(live) {
      const now = live.summary?.incidents ?? 0;
      if (looking || (now === known && Date.now() - looked < EVERY_MS)) return;
      const fewer = now < known;
      known = now;
      lookOpen().then(() => fewer && lookBack(true)).catch((error) => error.name === "AbortError" || page.say(error.message, "warning"));
    },
  };
}
