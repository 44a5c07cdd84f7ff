/* All incidents: open ones first, with what can be said of several at once; then past ones, page by page. */

import { together } from "../actions.js";
import { arrange, badge, card, el, put, text } from "../dom.js";
import { now, when } from "../times.js";
import {
  assetAddress, assetName, assetPlace, count, duration, KINDS, kind, LIVES, SEVERITIES,
} from "../words.js";

const OPEN = 200;
const PAST = 50;
const EVERY_MS = 5000; // at the least, between two looks at the open ones

export const lifeOf = (incident) => LIVES[incident.state] ?? LIVES.fired;
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
  let asked = 0; // questions for past ones: an answer to any but the latest is no longer wanted
  let looked = 0;
  let looking = false;

  const bulk = el("button", { type: "button", disabled: true, onclick: acknowledge }, "Acknowledge selected");
  const many = el("span", { class: "dim", role: "status" });
  const more = el("button", { type: "button", hidden: true, onclick: () => goBack().catch(page.mistake) },
    "Older ones");
  const search = el("input", {
    type: "search",
    placeholder: "Asset or words",
    "aria-label": "Filter by asset or words",
    oninput: () => {
      filters.text = search.value.trim().toLowerCase();
      draw();
    },
  });
  const kinds = el("select", {
    "aria-label": "Filter by kind",
    onchange: () => {
      filters.kind = kinds.value;
      lookBack(PAST).catch(page.mistake);
      draw();
    },
  },
    el("option", { value: "" }, "every kind"),
    Object.entries(KINDS).map(([value, words]) => el("option", { value }, words)));
  const all = el("input", {
    type: "checkbox",
    "aria-label": "Select all",
    onchange: () => choose(open.filter(fits).filter(waits), all.checked),
  });
  const openList = list(row, el("th", { class: "choose" }, all));
  const pastList = list(row);
  put(root,
    el("div", { class: "view-head" },
      el("h1", {}, "Incidents"),
      el("div", { class: "row" }, search, kinds)),
    el("section", { class: "card", "aria-labelledby": "open-title" },
      el("div", { class: "view-head" },
        el("h2", { id: "open-title" }, "Open"),
        many,
        el("div", { class: "actions" }, bulk)),
      openList.node),
    card("past", "Past", pastList.node, el("p", { class: "row" }, more)));

  await Promise.all([lookOpen(), lookBack(PAST)]);

  /* -- what is asked for ------------------------------------------------------------------------------------------ */

  /* Returns whether one of those before is over. */
  async function lookOpen() {
    looking = true;
    looked = Date.now();
    try {
      const before = open;
      open = (await page.get(`api/v1/incidents?open=1&limit=${OPEN}`)).incidents;
      const there = new Set(open.map((each) => each.id));
      const choosable = new Set(open.filter(waits).map((each) => each.id));
      for (const id of chosen) if (!choosable.has(id)) chosen.delete(id);
      draw();
      return before.some((each) => !there.has(each.id));
    } finally {
      looking = false;
    }
  }

  /* The newest past ones, so many at the least as there are. */
  async function lookBack(least) {
    await turnBack([], null, least);
  }

  /* Those that are shown, and the next older ones. */
  async function goBack() {
    more.disabled = true;
    try {
      await turnBack(past, next, past.length + PAST);
    } finally {
      more.disabled = false;
    }
  }

  async function turnBack(known, from, least) {
    const mine = (asked += 1);
    let [found, before] = [known, from];
    do {
      const of = new URLSearchParams({ open: "0", limit: String(PAST) });
      if (filters.kind) of.set("kind", filters.kind);
      if (before) of.set("before", before);
      const older = await page.get(`api/v1/incidents?${of}`);
      if (mine !== asked) return;
      found = [...found, ...older.incidents];
      before = older.next;
    } while (before && found.length < least);
    [past, next] = [found, before];
    more.hidden = !next;
    draw();
  }

  async function acknowledge() {
    const several = open.filter(isChosen)
      .map((each) => ({ incident: each.id, asset: each.asset }));
    try {
      if (!(await together(page, "acknowledge", several, count(several.length, "incident")))) return;
      chosen.clear();
      await lookOpen();
    } catch (error) {
      page.mistake(error);
    }
  }

  /* What the filter hides is not acknowledged unseen. */
  function isChosen(each) {
    return chosen.has(each.id) && fits(each);
  }

  /* -- drawing ---------------------------------------------------------------------------------------------------- */

  function fits(each) {
    const words = `${each.asset} ${each.title} ${each.summary} ${each.who}`.toLowerCase();
    return (!filters.kind || each.kind === filters.kind) && words.includes(filters.text);
  }

  function draw() {
    text(many, open.length === OPEN ? `the latest ${OPEN}` : count(open.length, "incident"));
    openList.draw(open.filter(fits), open.length
      ? "None of the open ones fits the filter."
      : "Nothing is open: every engine that is watched runs as usual.");
    pastList.draw(past.filter(fits), past.length
      ? "None of those shown fits the filter; older ones may."
      : "There were none yet.");
    drawChosen();
  }

  function drawChosen() {
    const several = open.filter(isChosen).length;
    bulk.disabled = !several;
    text(bulk, several ? `Acknowledge ${several} selected` : "Acknowledge selected");
    const boxes = [...openList.node.querySelectorAll("input[data-incident]")];
    for (const box of boxes) box.checked = chosen.has(box.dataset.incident);
    const among = boxes.filter((box) => !box.disabled);
    all.checked = among.length > 0 && among.every((box) => box.checked);
  }

  function choose(incidents, wanted) {
    for (const { id } of incidents) {
      if (wanted) chosen.add(id);
      else chosen.delete(id);
    }
    drawChosen();
  }

  function row(each, choosable) {
    return el("tr", {},
      choosable && el("td", { class: "choose" }, el("input", {
        type: "checkbox",
        disabled: !waits(each),
        dataset: { incident: each.id },
        "aria-label": `Select ${each.title} of ${each.name}`,
        onchange: (event) => choose([each], event.target.checked),
      })),
      el("td", { class: "what" },
        el("a", { href: addressOf(each) }, each.title || kind(each.kind)),
        el("p", {}, each.summary)),
      el("td", { class: "name" },
        el("a", { href: assetAddress(each.asset) }, assetName(each.asset)),
        el("small", { class: "block" }, assetPlace(each.asset))),
      el("td", { class: "time" }, when(each.from)),
      el("td", { class: "time lasted" }),
      el("td", {},
        badge(each.open ? severityOf(each) : lifeOf(each), each.open ? each.severity : lifeOf(each).word),
        el("small", { class: "block" }, further(each))));
  }

  let known = -1;
  return {
    /* The number of open ones changed, or some time has passed: look again. */
    update(live) {
      const openNow = live.summary?.incidents ?? 0;
      if (looking || (openNow === known && Date.now() - looked < EVERY_MS)) return;
      known = openNow;
      lookOpen().then((ended) => ended && lookBack(Math.max(PAST, past.length))).catch(page.mistake);
    },
  };
}

/* What is to be known of an incident beside its severity or its end. */
function further(each) {
  if (!each.open || each.state === "firing") return VERDICTS[each.verdict] ?? "";
  const by = each.who ? ` by ${each.who}` : "";
  const shelf = each.state === "shelved" ? "" : ", shelved";
  return `${lifeOf(each).word}${by}${each.until ? `${shelf} until ${when(each.until)}` : ""}`;
}

/* A table of incidents, {node, draw(incidents, why there are none)}. A row is made anew only where it says something
   else, so that what has the focus keeps it; how long incidents last goes on. */
function list(row, choose = null) {
  const heads = ["What", "Asset", "Began", choose ? "For" : "Lasted", "State"];
  const body = el("tbody");
  const table = el("table", { class: "incidents" },
    el("thead", {}, el("tr", {}, choose, heads.map((each) => el("th", { scope: "col" }, each)))),
    body);
  const why = el("p", { class: "dim" });
  let rows = new Map(); // id -> {told, node}

  function rowOf(each) {
    const told = JSON.stringify(each);
    const known = rows.get(each.id);
    return known?.told === told ? known : { told, node: row(each, choose) };
  }

  return {
    node: el("div", { class: "table" }, table, why),
    draw(incidents, none) {
      table.hidden = !incidents.length;
      why.hidden = incidents.length > 0;
      text(why, none);
      rows = new Map(incidents.map((each) => [each.id, rowOf(each)]));
      arrange(body, incidents.map(({ id }) => rows.get(id).node));
      for (const each of incidents) text(rows.get(each.id).node.querySelector(".lasted"), lasted(each));
    },
  };
}

const lasted = ({ from, to }) => duration((to ?? Math.max(now(), from)) - from);
