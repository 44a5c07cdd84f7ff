/* Health: every hop of the way of a reading, dead letters, and what runs here. Further sections of /api/v1/health have
   an entry in SECTIONS each: {name: the section's key in the answer, title, draw(data, page) -> nodes}. */

import { badge, el, figure, put } from "../dom.js";
import { when } from "../times.js";
import * as words from "../words.js";

const EVERY_MS = 2000;
const STATUS = { ready: words.HEALTH.good, degraded: words.HEALTH.degraded, "not ready": words.HEALTH.failed };
const UNITS = {
  messages: "messages/s",
  records: "records/s",
  values: "values/s",
  rows: "scored rows/s",
  lines: "lines/s",
};

const SECTIONS = [
  { name: "canary", title: "Canary", draw: canary },
  { name: "false_alarms", title: "False-alarm budget", draw: falseAlarms },
  { name: "letters", title: "Dead letters", draw: letters },
  { name: "models", title: "Models in use", draw: models },
  { name: "threads", title: "Threads", draw: threads },
  { name: "levels", title: "Disk", draw: levels },
];

export async function show(root, _, page) {
  const head = el("span", {});
  const reasons = el("div", { hidden: true });
  const facts = el("dl", { class: "figures" });
  const hops = el("ol", { class: "hops", "aria-label": "Hops of the line, in order" });
  const sections = SECTIONS.map((each) =>
    ({ ...each, node: el("section", { class: "card", hidden: true }), told: "" }));
  put(root,
    el("div", { class: "view-head" }, el("h1", {}, "Health"), head),
    reasons,
    el("div", { class: "card" }, facts),
    hops,
    el("div", { class: "columns" }, sections.map((each) => each.node)));

  let told = "";
  function draw(found) {
    put(head, badge(STATUS[found.status] ?? words.HEALTH.failed, found.status));
    const why = JSON.stringify(found.reasons);
    if (why !== told) {
      told = why;
      reasons.hidden = !found.reasons.length;
      put(reasons, found.reasons.length > 0 && el("ul", { class: "card reasons" },
        found.reasons.map((each) => el("li", {}, each))));
    }
    put(facts,
      figure("Version", found.version),
      figure("Runs for", words.duration(found.time - found.started), `since ${when(found.started)}`),
      !found.letters.where && figure("Dead letters", words.number(found.letters.kept, 9)));
    put(hops, found.hops.map(hop));
    for (const section of sections) {
      const data = found[section.name];
      const now = JSON.stringify(data ?? null);
      if (now === section.told) continue; // so that what is open stays open
      section.told = now;
      const nodes = data === undefined ? null : section.draw(data, page);
      section.node.hidden = !nodes;
      if (nodes) put(section.node, el("h2", {}, section.title), nodes);
    }
  }

  draw(await page.get("api/v1/health"));
  const timer = setInterval(async () => {
    try {
      draw(await page.get("api/v1/health"));
    } catch (error) {
      if (error.name !== "AbortError") put(head, badge(words.HEALTH.failed, error.message));
    }
  }, EVERY_MS);
  return { close: () => clearInterval(timer) };
}

function hop(each) {
  const state = words.HEALTH[each.state] ?? words.HEALTH.idle;
  const numbers = [
    each.rate !== null && `${words.number(each.rate)} ${UNITS[each.unit] ?? ""}`,
    each.lag !== null && `${words.number(each.lag, 9)} ${each.waiting} waiting`,
  ].filter(Boolean).join(" · ");
  const over = each.error && !each.said.includes(each.error);
  return el("li", { class: "hop card", dataset: { tone: state.tone } },
    el("div", { class: "row hop-name" }, el("h2", {}, each.name), badge(state)),
    el("div", {},
      el("p", { class: "dim" }, each.does),
      each.said && el("p", {}, each.said),
      over && el("p", { class: "dim" }, `Last error ${when(each.error_at)}: ${each.error}`)),
    el("p", { class: "number hop-numbers" }, numbers));
}

const RESULTS = {
  seen: words.HEALTH.good, missed: words.HEALTH.failed, false: words.HEALTH.failed, "not tried": words.HEALTH.idle,
};
const SAID = { false: "an incident without a fault" };

const SHOWN = 8; // outcomes

function canary(data) {
  const { delay_s: delay } = data;
  const longest = delay.longest === undefined ? null : `longest ${seconds(delay.longest)}`;
  return [
    el("dl", { class: "figures" },
      figure("Last delay", seconds(delay.last)),
      figure("Median", seconds(delay.median), longest),
      data.began === null
        ? figure("Next fault", when(data.next))
        : figure("Fault now", words.plain(data.fault))),
    data.outcomes.length > 0 && table(
      ["At", "Fault", "What came of it"],
      data.outcomes.slice(0, SHOWN).map((each) => [
        when(each.at),
        words.plain(each.fault) || "none",
        outcome(each),
      ])),
    el("p", { class: "dim" },
      "A simulated engine with known faults, through the broker and every room: "
      + "what is missed here would be missed of yours."),
  ];
}

function outcome({ result, delay_s: delay, why }) {
  const said = delay === null ? SAID[result] ?? result : `seen after ${seconds(delay)}`;
  return [badge(RESULTS[result] ?? words.HEALTH.idle, said), why && el("div", { class: "dim" }, why)];
}

const seconds = (value) => (value === undefined ? "–" : `${words.number(value, 2)} s`);

function falseAlarms(data) {
  if (!data.length) {
    return el("p", { class: "dim" },
      "No budget was set. ",
      el("code", {}, "enginewatch calibrate --budget 1/asset-month"),
      " says what it would take.");
  }
  return [
    data.map((each) => [
      el("h3", {}, `${each.class}: ${each.budget}`),
      el("dl", { class: "figures" },
        figure("Floor", words.number(each.floor), each.floor_now === each.floor
          ? `was ${words.number(each.before)}`
          : `the daemon's is ${words.number(each.floor_now)}`),
        figure("Predicted", words.number(each.predicted, 2), `at most ${words.number(each.high, 2)}`),
        since(each.since)),
      el("p", { class: "dim" },
        `Set ${when(each.at)} by ${words.number(each.days)} asset-days of normal running.`),
    ]),
    el("p", { class: "dim" }, "Rates are in the unit of the budget; incidents that were judged real do not count."),
  ];
}

function since({ incidents, days, rate, low, high }) {
  if (rate === null) return figure("Since then", "–", "nothing was scored yet");
  const counted = `${words.count(incidents, "incident")} in ${words.number(days, 2)} asset-days`;
  return figure("Since then", words.number(rate, 2),
    `${words.number(low, 2)} to ${words.number(high, 2)}: ${counted}`);
}

function letters(data) {
  if (data.where) return el("p", { class: "dim" }, `What was refused is in ${data.where}, with the reasons.`);
  if (!data.reasons.length) return el("p", { class: "dim" }, "Nothing was refused: every message could be read.");
  const older = data.kept > data.looked_at
    ? `, of which the latest ${words.number(data.looked_at, 9)} are looked at`
    : "";
  return [
    el("p", { class: "dim" },
      `${words.count(data.kept, "message")} and values that could not be read are kept${older}. `,
      "Mend the setting that the reason names, then ",
      el("code", {}, "enginewatch dead-letters retry"),
      " sends them through again; docs/troubleshooting.md has reasons and remedies."),
    data.reasons.map((each) => el("details", { class: "letters" },
      el("summary", {},
        el("strong", {}, each.reason),
        ` ${words.count(each.letters, "letter")}, the latest ${when(each.latest)}`),
      each.samples.map((sample) => el("figure", {},
        el("figcaption", { class: "dim" },
          `${when(sample.time)} on `,
          el("code", {}, sample.topic)),
        el("pre", {}, el("code", {}, sample.payload || "(empty)")))))),
    data.further > 0 && el("p", { class: "dim" }, `and ${words.count(data.further, "further reason")}`),
  ];
}

function models(data) {
  return table(["Class", "Model", "Window", "Hash"], data.map((each) => [
    each.class,
    each.model ?? "none: nothing is scored",
    each.window === null ? "–" : words.count(each.window, "tick"),
    each.hash ? el("code", {}, each.hash.slice(0, 12)) : "–",
  ]));
}

function threads(data) {
  if (!data.length) return el("p", { class: "dim" }, "They are starting or ending.");
  return table(["Thread", "State"], data.map((each) => [each.name, thread(each)]));
}

function thread({ alive, stuck_s: stuck }) {
  if (!alive) return badge(words.HEALTH.failed, "has ended");
  if (stuck > 0) return badge(words.HEALTH.degraded, `stuck for ${words.duration(1000 * stuck)}`);
  return badge(words.HEALTH.good, "turns");
}

function levels(data) {
  const entries = Object.entries(data);
  if (!entries.length) return el("p", { class: "dim" }, "Not looked at yet.");
  return table(["What", "Used", "Bound", "Full in"], entries.map(([name, each]) => [
    name,
    words.bytes(each.used),
    words.bytes(each.limit),
    each.full_in_s === null ? "–" : words.duration(1000 * each.full_in_s),
  ]));
}

function table(heads, rows) {
  return el("div", { class: "table" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));
}
