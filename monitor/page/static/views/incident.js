/* One incident: what is wrong, its sensors against what was expected, its life, and past ones that are like it. */

import { act } from "../actions.js";
import { badge, el, put } from "../dom.js";
import { when } from "../times.js";
import { assetName, count, duration, kind, LIVES, number, percent, plain, withUnit } from "../words.js";
import { addressOf, lifeOf, severityOf, VERDICTS, waits } from "./incidents.js";

const EVERY_MS = 2000;

export async function show(root, [id], page) {
  let incident = null;
  let looked = 0;
  let looking = false;
  let drawn = "";
  await look();

  async function look() {
    looking = true;
    looked = Date.now();
    try {
      incident = await page.get(`api/v1/incidents/${encodeURIComponent(id)}`);
    } finally {
      looking = false;
    }
    const now = JSON.stringify(incident);
    if (now === drawn) return; // the focus stays where it is
    drawn = now;
    draw();
  }

  function draw() {
    const { asset, open } = incident;
    page.title(`${incident.title} of ${assetName(asset)}`);
    put(root,
      el("nav", { "aria-label": "Where this is" }, el("a", { href: "#/incidents" }, "Incidents"), " / ", el("a", { href: `#/asset/${encodeURIComponent(asset)}` }, incident.name)),
      el("div", { class: "view-head" },
        el("h1", {}, `${assetName(asset)}: ${incident.title || kind(incident.kind)}`),
        badge(open ? severityOf(incident) : lifeOf(incident), open ? incident.severity : lifeOf(incident).word),
        open && incident.state !== "firing" && badge(lifeOf(incident)),
        incident.verdict && badge(LIVES.verdict, VERDICTS[incident.verdict] ?? incident.verdict)),
      el("section", { class: "card stack", "aria-label": "What is wrong" },
        el("p", { class: "said" }, incident.summary),
        incident.to_do && el("p", { class: "dim" }, incident.to_do),
        el("dl", { class: "figures" },
          figure("Began", when(incident.from)),
          open ? figure("For", duration(Date.now() - incident.from)) : figure("Ended", when(incident.to), `after ${duration(incident.to - incident.from)}`),
          incident.score !== null && figure("Score at firing", number(incident.score), `threshold ${number(incident.threshold)}`),
          incident.until && figure("Shelved until", when(incident.until))),
        actions()),
      el("div", { class: "columns" }, sensors(), life()), alike());
  }

  function actions() {
    const about = { incident: incident.id, asset: incident.asset, name: `${incident.title} of ${assetName(incident.asset)}` };
    const button = (action, words, attributes = {}) => el("button", { type: "button", ...attributes, onclick: async () => { if (await act(page, action, about)) await look(); } }, words);
    return el("div", { class: "row" },
      waits(incident) && button("acknowledge", "Acknowledge", { class: "primary" }),
      incident.open && button("shelve", "Shelve …"),
      button("comment", "Comment …"),
      button("real", "Real fault …", { "aria-pressed": incident.verdict === "real" ? "true" : null }),
      button("false", "False alarm …", { "aria-pressed": incident.verdict === "false" ? "true" : null }),
      incident.open && incident.kind === "anomaly" && button("accept", "Accept as new normal …"),
      incident.open && button("maintenance", "Maintenance …"),
      el("a", { class: "button", href: `#/asset/${encodeURIComponent(incident.asset)}/${around(incident)}` }, "Show in the charts"));
  }

  function sensors() {
    if (!incident.top.length) return el("section", { class: "card" }, el("h2", {}, "Sensors"), el("p", { class: "dim" }, incident.sensor ? `It is about ${plain(incident.sensor)} itself: nothing is expected of a sensor that is at fault.` : "No sensor stands out: it is about the whole asset."));
    return el("section", { class: "card", "aria-labelledby": "sensors-title" }, el("h2", { id: "sensors-title" }, "What it was found by"),
      el("div", { class: "table" }, el("table", {},
        el("thead", {}, el("tr", {}, ["Sensor", "Actual", "Expected", "Off by", "Score"].map((each, at) => el("th", { scope: "col", class: at ? "number" : null }, each)))),
        el("tbody", {}, incident.top.map((each) => el("tr", {},
          el("th", { scope: "row" }, each.words),
          el("td", { class: "number" }, withUnit(each.actual, unit(each), 4)), el("td", { class: "number" }, withUnit(each.expected, unit(each), 4)),
          el("td", { class: "number" }, each.actual === null || each.expected === null ? "–" : `${each.actual > each.expected ? "+" : "−"}${withUnit(Math.abs(each.actual - each.expected), unit(each))}`),
          el("td", { class: "number" }, number(each.contribution))))))));
  }

  function life() {
    return el("section", { class: "card", "aria-labelledby": "life-title" }, el("h2", { id: "life-title" }, "Life"),
      el("ol", { class: "life" }, incident.life.map((each) => {
        const known = LIVES[each.transition] ?? { ...LIVES.commented, word: each.transition };
        const words = each.transition === "verdict" ? VERDICTS[each.summary] ?? each.summary : each.why || (["fired", "cleared"].includes(each.transition) ? each.summary : "");
        return el("li", { dataset: { tone: known.tone } },
          el("div", { class: "row" }, badge(known, each.transition === "fired" ? "fired" : known.word), el("time", { class: "dim number", datetime: new Date(each.time).toISOString() }, when(each.time)), each.who && el("span", {}, `by ${each.who}`), each.until && el("span", {}, `until ${when(each.until)}`)),
          words && el("p", {}, words), each.transition === "verdict" && each.why && el("p", {}, each.why));
      })));
  }

  function alike() {
    return el("section", { class: "card", "aria-labelledby": "alike-title" }, el("h2", { id: "alike-title" }, "Similar past incidents of this asset"),
      incident.similar.length
        ? el("div", { class: "table" }, el("table", {},
          el("caption", {}, `Alike is how much the same sensors were off by the same shares to the same side: 100 % is all of it, below ${percent(incident.alike)} is not told.`),
          el("thead", {}, el("tr", {}, ["Alike", "What", "Began", "Lasted", "Verdict"].map((each, at) => el("th", { scope: "col", class: at ? null : "number" }, each)))),
          el("tbody", {}, incident.similar.map((each) => el("tr", {},
            el("td", { class: "number" }, percent(each.likeness)),
            el("td", { class: "what" }, el("a", { href: addressOf(each) }, each.title), el("p", {}, each.summary)),
            el("td", { class: "time" }, when(each.from)), el("td", { class: "time" }, each.to === null ? "open" : duration(each.to - each.from)),
            el("td", {}, VERDICTS[each.verdict] ?? "none given"))))))
        : el("p", { class: "dim" }, incident.looked_through ? `None: ${count(incident.looked_through, "incident")} before it ${incident.looked_through === 1 ? "was" : "were"} looked through.` : "None: it is the first of this asset."));
  }

  return {
    update() {
      if (looking || Date.now() - looked < EVERY_MS) return;
      look().catch((error) => error.name === "AbortError" || page.say(error.message, "warning"));
    },
  };
}

const unit = (each) => (each.unit === "1" ? "" : each.unit);
const figure = (label, value, detail = null) => el("div", { class: "figure" }, el("dt", {}, label), el("dd", {}, value, detail && el("small", {}, detail)));

/* The time around an incident, as the address of an asset's view has it. */
export function around({ from, to }) {
  const end = to ?? Date.now();
  const beside = Math.max(120_000, (end - from) / 2);
  return `${Math.round(from - beside)}-${Math.round(end + beside)}`;
}
