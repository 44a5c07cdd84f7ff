/* One incident: what is wrong, its sensors against what was expected, its life, and past ones that are like it. */

import { act } from "../actions.js";
import { badge, card, el, figure, focused, put } from "../dom.js";
import { now, when } from "../times.js";
import {
  assetAddress, assetName, count, duration, kind, LIVES, number, percent, plain, state, unitOf, withUnit,
} from "../words.js";
import { addressOf, lifeOf, severityOf, VERDICTS, waits } from "./incidents.js";

const EVERY_MS = 2000;
const BESIDE_MS = 120_000; // at the least, that the charts show before and after it

export async function show(root, [id], page) {
  let incident = null;
  let looked = 0;
  let looking = false;
  let drawn = "";
  const facts = el("dl", { class: "figures" });
  await look();

  async function look() {
    looking = true;
    looked = Date.now();
    try {
      incident = await page.get(`api/v1/incidents/${encodeURIComponent(id)}`);
    } finally {
      looking = false;
    }
    put(facts, figures(incident));
    const told = JSON.stringify([incident, worked()]);
    if (told === drawn) return; // the focus stays where it is
    drawn = told;
    focused(root, draw);
  }

  /* The maintenance of its asset, null where there is none. */
  function worked() {
    return page.live.assets.get(incident.asset)?.maintenance ?? null;
  }

  function draw() {
    const { asset, name, open, title, verdict } = incident;
    page.title(`${title} of ${assetName(asset)}`);
    put(root,
      el("nav", { "aria-label": "Where this is" },
        el("a", { href: "#/incidents" }, "Incidents"), " / ",
        el("a", { href: assetAddress(asset) }, name)),
      el("div", { class: "view-head" },
        el("h1", {}, `${assetName(asset)}: ${title || kind(incident.kind)}`),
        badge(open ? severityOf(incident) : lifeOf(incident), open ? incident.severity : lifeOf(incident).word),
        worked()?.begun && badge(state("maintenance")),
        open && incident.state !== "firing" && badge(lifeOf(incident)),
        verdict && badge(LIVES.verdict, VERDICTS[verdict] ?? verdict)),
      el("section", { class: "card stack", "aria-label": "What is wrong" },
        el("p", { class: "said" }, incident.summary),
        incident.to_do && el("p", { class: "dim" }, incident.to_do),
        facts,
        actions()),
      el("div", { class: "columns" },
        incident.top.length ? sensors(incident) : noSensors(incident),
        life(incident)),
      alike(incident));
  }

  function actions() {
    const { asset, open, verdict } = incident;
    const about = { incident: incident.id, asset, name: `${incident.title} of ${assetName(asset)}` };
    const button = (action, words, attributes = {}) =>
      el("button", { type: "button", ...attributes, onclick: () => carryOut(action, about) }, words);
    const given = (each) => ({ "aria-pressed": verdict === each ? "true" : null });
    return el("div", { class: "row" },
      waits(incident) && button("acknowledge", "Acknowledge", { class: "primary" }),
      open && button("shelve", "Shelve …"),
      button("comment", "Comment …"),
      button("real", "Real fault …", given("real")),
      button("false", "False alarm …", given("false")),
      open && incident.kind === "anomaly" && button("accept", "Accept as new normal …"),
      worked() ? button("maintained", "End maintenance …") : open && button("maintenance", "Maintenance …"),
      el("a", { class: "button", href: assetAddress(asset, around(incident)) }, "Show in the charts"));
  }

  async function carryOut(action, about) {
    try {
      if (await act(page, action, about)) await look();
    } catch (error) {
      page.mistake(error);
    }
  }

  return {
    update() {
      if (!looking && Date.now() - looked >= EVERY_MS) look().catch(page.mistake);
    },
  };
}

function figures({ from, to, open, score, threshold, until }) {
  return [
    figure("Began", when(from)),
    open
      ? figure("For", duration(now() - from))
      : figure("Ended", when(to), `after ${duration(to - from)}`),
    score !== null && figure("Score at firing", number(score), `threshold ${number(threshold)}`),
    until && figure("Shelved until", when(until)),
  ];
}

function noSensors({ sensor }) {
  const why = sensor
    ? `It is about ${plain(sensor)} itself: nothing is expected of a sensor that is at fault.`
    : "No sensor stands out: it is about the whole asset.";
  return el("section", { class: "card" }, el("h2", {}, "Sensors"), el("p", { class: "dim" }, why));
}

function sensors({ top }) {
  return card("sensors", "What it was found by",
    el("div", { class: "table" }, el("table", {},
      el("thead", {}, el("tr", {}, ["Sensor", "Actual", "Expected", "Off by", "Score"].map((each, at) =>
        el("th", { scope: "col", class: at ? "number" : null }, each)))),
      el("tbody", {}, top.map((each) => el("tr", {},
        el("th", { scope: "row" }, each.words),
        el("td", { class: "number" }, withUnit(each.actual, unitOf(each.unit), 4)),
        el("td", { class: "number" }, withUnit(each.expected, unitOf(each.unit), 4)),
        el("td", { class: "number" }, offBy(each)),
        el("td", { class: "number" }, number(each.contribution))))))));
}

function offBy({ actual, expected, unit }) {
  if (actual === null || expected === null) return "–";
  return `${actual > expected ? "+" : "−"}${withUnit(Math.abs(actual - expected), unitOf(unit))}`;
}

function life({ life: moments }) {
  return card("life", "Life", el("ol", { class: "life" }, moments.map(moment)));
}

function moment(each) {
  const { transition, time, who, until } = each;
  const known = LIVES[transition] ?? { ...LIVES.commented, word: transition };
  return el("li", { dataset: { tone: known.tone } },
    el("div", { class: "row" },
      badge(known, transition === "fired" ? "fired" : known.word),
      el("time", { class: "dim number", datetime: new Date(time).toISOString() }, when(time)),
      who && el("span", {}, `by ${who}`),
      until && el("span", {}, `${transition === "shelved" ? "" : "shelved "}until ${when(until)}`)),
    said(each).filter(Boolean).map((words) => el("p", {}, words)));
}

/* What was said at a moment of its life: the verdict and its reason, the reason of all else, or how it stood. */
function said({ transition, summary, why }) {
  if (transition === "verdict") return [VERDICTS[summary] ?? summary, why];
  return [why || (["fired", "cleared"].includes(transition) ? summary : "")];
}

function alike({ alike: least, looked_through: through, similar }) {
  return card("alike", "Similar past incidents of this asset", similar.length
    ? el("div", { class: "table" }, el("table", {},
      el("caption", {}, "Alike is how much the same sensors were off by the same shares to the same side: "
        + `100 % is all of it, below ${percent(least)} is not told.`),
      el("thead", {}, el("tr", {}, ["Alike", "What", "Began", "Lasted", "Verdict"].map((each, at) =>
        el("th", { scope: "col", class: at ? null : "number" }, each)))),
      el("tbody", {}, similar.map((each) => el("tr", {},
        el("td", { class: "number" }, percent(each.likeness)),
        el("td", { class: "what" }, el("a", { href: addressOf(each) }, each.title), el("p", {}, each.summary)),
        el("td", { class: "time" }, when(each.from)),
        el("td", { class: "time" }, each.to === null ? "open" : duration(each.to - each.from)),
        el("td", {}, VERDICTS[each.verdict] ?? "none given"))))))
    : el("p", { class: "dim" }, through
      ? `None: ${count(through, "incident")} before it ${through === 1 ? "was" : "were"} looked through.`
      : "None: it is the first of this asset."));
}

/* The time around an incident, as the address of an asset's view has it. */
function around({ from, to }) {
  const end = to ?? now();
  const beside = Math.max(BESIDE_MS, (end - from) / 2);
  return `${Math.round(from - beside)}-${Math.round(end + beside)}`;
}
