/* The fleet: every asset, worst first. Cards are made once and touched only where something changed and they are in
   sight, so that a thousand of them stay fluid. Their order changes only while nobody points at them. */

import { arrange, attribute, badge, el, figure, put, shape, text } from "../dom.js";
import { now } from "../times.js";
import { Minutes, trend } from "../trend.js";
import * as words from "../words.js";

const SECOND_MS = 1000;
const ORDERED_MS = 2000; // between two changes of the order
const NEAR = 0.8; // of its threshold: such assets come first among the watched ones, until they fall below
const NEAR_NO_MORE = 0.65;
const WHOLE = 0.995; // of a day that was scored: what is missing has to be told only below
const RANK = new Map(Object.keys(words.STATES).map((name, at) => [name, at]));
const rank = (row) => RANK.get(words.stateOf(row)) ?? RANK.size;
const kept = { search: "", state: "", class: "", site: "" }; // filters, while the page is open

/* By what chips filter, and what of a row that is. */
const OF_CHIPS = { state: words.stateOf, class: (row) => row.class, site: (row) => words.site(row.asset) };

export async function show(root, _, page) {
  const cards = new Map(); // key -> card
  const grid = el("ul", { class: "grid", "aria-label": "Assets, worst first" });
  const counters = el("dl", { class: "figures" });
  const said = el("p", { class: "dim", role: "status" });
  const empty = el("div", { class: "empty", hidden: true });
  const chips = { state: group("State"), class: group("Class"), site: group("Site") };
  const search = el("input", {
    type: "search",
    placeholder: "Search ( / )",
    "aria-label": "Search assets by name",
    value: kept.search,
    oninput: () => {
      kept.search = search.value;
      filter();
    },
  });
  put(root,
    el("div", { class: "view-head" }, el("h1", {}, "Fleet"), said),
    el("div", { class: "card" }, counters),
    el("div", { class: "filters" }, search, chips.state, chips.class, chips.site),
    empty,
    grid);

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const card = cards.get(target.dataset.key);
      if (!card) continue;
      card.inSight = isIntersecting;
      if (isIntersecting && card.stale) draw(card);
    }
  }, { rootMargin: "200px" });

  let trends = null;
  let pointed = false;
  let ordered = -ORDERED_MS;
  grid.addEventListener("pointerenter", (event) => {
    pointed = event.pointerType === "mouse";
  });
  grid.addEventListener("pointerleave", () => {
    pointed = false;
  });
  grid.addEventListener("keydown", step);
  const onKey = (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, select, dialog")) {
      event.preventDefault();
      search.focus();
    }
  };
  document.addEventListener("keydown", onKey);
  const clock = setInterval(() => {
    for (const card of cards.values()) if (card.inSight) heard(card);
  }, SECOND_MS);
  page.get("api/v1/fleet/trends").then((found) => {
    trends = found;
    for (const card of cards.values()) begin(card);
  }).catch((error) => {
    if (error.name !== "AbortError") page.say(`No trends of the last hour: ${error.message}`, "warning");
  });

  /* -- cards */

  function make(row) {
    const picture = trend();
    const name = words.assetName(row.asset);
    const link = el("a", { class: "asset", href: words.assetAddress(row.asset), title: name }, name);
    const card = {
      row,
      picture,
      near: false,
      inSight: false,
      stale: true,
      minutes: null,
      badge: el("span"),
      score: el("span", { class: "number" }),
      heard: el("span", { class: "dim number" }),
      incidents: el("div", { class: "asset-incident" }),
      detail: el("span", { class: "dim" }),
      since: el("span", { class: "since number" }),
      covered: el("span", { class: "dim number" }),
    };
    card.node = el("li", { class: "asset-card", dataset: { key: row.asset } },
      el("div", { class: "asset-head" }, link, card.badge),
      el("div", { class: "asset-row" },
        el("span", { class: "dim" }, words.assetPlace(row.asset) || " "),
        card.detail),
      picture.node,
      el("div", { class: "asset-row" }, card.score, card.heard),
      card.incidents,
      el("div", { class: "asset-row" }, card.since, card.covered));
    begin(card);
    seen.observe(card.node);
    return card;
  }

  /* The last hour as the store had it; what came since is taken in as it comes. */
  function begin(card) {
    if (!trends) return;
    const known = card.minutes;
    card.minutes = new Minutes(trends.first, trends.width, trends.points);
    const stored = trends.assets[card.row.asset];
    if (stored) card.minutes.fill(stored);
    if (!known) card.minutes.take(card.row.newest, card.row.score);
    refresh(card);
  }

  function refresh(card) {
    if (card.inSight) draw(card);
    else card.stale = true;
  }

  function draw(card) {
    const { row } = card;
    card.stale = false;
    const is = words.stateOf(row);
    const state = words.state(is);
    attribute(card.node, "data-tone", state.tone);
    if (card.shown !== `${is} ${row.status}`) {
      card.shown = `${is} ${row.status}`;
      put(card.badge, badge(state, is === "resting" ? words.plain(row.status) : state.word));
      attribute(card.badge, "title", state.means);
    }
    const over = row.score !== null && row.threshold !== null && row.score > row.threshold;
    attribute(card.score, "data-over", over ? "yes" : null);
    text(card.score, scored(row));
    const wrong = row.incidents ? incidents(row) : "";
    text(card.incidents, wrong);
    attribute(card.incidents, "title", row.incident?.summary || wrong);
    attribute(card.incidents, "data-tone", row.severity);
    card.incidents.hidden = !wrong;
    const regime = row.regime === "all" ? "" : words.plain(row.regime);
    text(card.detail, is === "warming" ? row.status.replace(state.word, "").trim() : regime);
    text(card.covered, wrong ? "" : covered(row));
    heard(card);
    if (card.minutes) card.picture.draw(card.minutes, row.threshold);
  }

  function heard(card) {
    text(card.heard, words.ago(card.row.heard));
    text(card.since, since(card.row));
    card.since.hidden = !card.row.incident;
  }

  /* -- order and filters */

  function near(card) {
    const { score, threshold } = card.row;
    const share = score !== null && threshold ? score / threshold : 0;
    card.near = share >= (card.near ? NEAR_NO_MORE : NEAR);
  }

  function order() {
    const wanted = [...cards.values()].sort((one, two) =>
      rank(one.row) - rank(two.row)
      || two.near - one.near || (one.row.asset < two.row.asset ? -1 : 1));
    arrange(grid, wanted.map(({ node }) => node));
  }

  const matches = ({ row }, but = "") =>
    (but === "state" || !kept.state || words.stateOf(row) === kept.state)
    && (but === "class" || !kept.class || row.class === kept.class)
    && (but === "site" || !kept.site || words.site(row.asset) === kept.site)
    && row.asset.toLowerCase().includes(kept.search.trim().toLowerCase());

  function filter() {
    let count = 0;
    for (const card of cards.values()) {
      const shown = matches(card);
      card.node.hidden = !shown;
      count += shown;
    }
    fillChips();
    const { summary } = page.live;
    empty.hidden = count > 0;
    if (!cards.size) {
      put(empty,
        el("h2", {}, "No asset was heard yet"),
        el("p", {}, summary?.trouble || "As soon as readings arrive, every asset has its place here."));
    } else if (!count) {
      put(empty,
        el("h2", {}, "No asset matches"),
        el("button", { type: "button", onclick: clear }, "Show all"));
    }
  }

  function clear() {
    Object.assign(kept, { search: "", state: "", class: "", site: "" });
    search.value = "";
    filter();
  }

  function fillChips() {
    for (const [name, value] of Object.entries(OF_CHIPS)) {
      const counts = new Map();
      for (const card of cards.values()) {
        const of = value(card.row);
        if (matches(card, name)) counts.set(of, (counts.get(of) ?? 0) + 1);
      }
      if (kept[name] && !counts.has(kept[name])) counts.set(kept[name], 0);
      const entries = [...counts].sort(([one], [two]) => {
        if (name === "state") return RANK.get(one) - RANK.get(two);
        return one < two ? -1 : 1;
      });
      chips[name].hidden = entries.length < 2 && !kept[name];
      const told = JSON.stringify([entries, kept[name]]);
      if (chips[name].dataset.told === told) continue; // so that a focused one stays
      const { activeElement } = document;
      const focused = chips[name].contains(activeElement) ? activeElement.dataset.value : null;
      chips[name].dataset.told = told;
      put(chips[name], entries.map(([each, count]) => chip(name, each, count)));
      if (focused === null) continue;
      [...chips[name].children].find((each) => each.dataset.value === focused)?.focus();
    }
  }

  function chip(name, value, count) {
    const state = name === "state" ? words.state(value) : null;
    return el("button", {
      type: "button",
      class: "chip",
      "aria-pressed": String(kept[name] === value),
      dataset: { value, ...(state && { tone: state.tone }) },
      onclick: () => {
        kept[name] = kept[name] === value ? "" : value;
        filter();
      },
    },
      state && shape(state.shape),
      state ? state.word : value,
      el("span", { class: "count" }, count));
  }

  /* Arrow keys go from card to card. */
  function step(event) {
    const among = [...grid.children].filter((node) => !node.hidden);
    const at = among.indexOf(event.target.closest("li"));
    const across = among.filter((node) => node.offsetTop === among[0].offsetTop).length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    const next = by && at >= 0 ? among[at + by] : null;
    if (!next) return;
    event.preventDefault();
    next.querySelector("a").focus();
  }

  /* -- as the live state changes */

  function count({ summary }) {
    const lags = Object.entries(summary.lags ?? {});
    const shares = [...cards.values()].map((card) => card.row.coverage?.share).filter((share) => share !== undefined);
    const mean = shares.length ? shares.reduce((sum, share) => sum + share, 0) / shares.length : null;
    const shelved = summary.shelved ?? 0;
    const open = summary.incidents === undefined ? null : summary.incidents - shelved;
    const tone = open ? "critical" : "good";
    put(counters,
      figure("Assets", words.number(cards.size, 9)),
      figure("Open incidents",
        el("span", { class: "toned", dataset: { tone } }, words.number(open, 9)),
        shelved > 0 && `and ${words.number(shelved, 9)} shelved`),
      summary.values_per_s !== undefined && figure("Values a second", words.number(summary.values_per_s, 4)),
      figure("Scored rows a second", words.number(summary.rows_per_s ?? null, 4)),
      figure("Scored of the last 24 h", words.percent(mean)),
      lags.map(([sink, lag]) => figure(`Waiting for ${SINKS[sink] ?? sink}`, words.number(lag, 9))));
    text(said, summary.watched ?? "");
    const states = new Set([...cards.values()].map(({ row }) => words.stateOf(row)));
    const worst = summary.broker || states.has("critical") ? "critical" : open && "warning";
    attribute(said, "class", worst ? "toned" : "dim");
    attribute(said, "data-tone", worst || null);
  }

  return {
    update(live) {
      for (const key of live.changed) {
        const row = live.assets.get(key);
        let card = cards.get(key);
        if (!row) {
          if (card) {
            seen.unobserve(card.node);
            card.node.remove();
            cards.delete(key);
          }
          continue;
        }
        if (!card) {
          card = make(row);
          cards.set(key, card);
          grid.append(card.node);
        }
        card.row = row;
        card.minutes?.take(row.newest, row.score);
        near(card);
        refresh(card);
      }
      count(live);
      filter();
      const moment = performance.now();
      if (moment - ordered >= ORDERED_MS && !pointed && !grid.contains(document.activeElement)) {
        ordered = moment;
        order();
      }
    },
    close() {
      seen.disconnect();
      clearInterval(clock);
      document.removeEventListener("keydown", onKey);
    },
  };
}

/* Its score beside its threshold. */
function scored({ score, threshold }) {
  if (score === null) return "not scored";
  return `score ${words.number(score)} ${threshold === null ? "without a threshold" : `of ${words.number(threshold)}`}`;
}

/* How much of the last day it was scored, and why not more. */
function covered({ coverage }) {
  if (!coverage) return "";
  const { share, reason } = coverage;
  return `${words.percent(share)} scored${reason && share < WHOLE ? `, else ${words.reason(reason)}` : ""}`;
}

/* What is wrong, in short: the worst incident, and how many more there are. */
function incidents({ incidents: many, incident }) {
  if (!incident) return words.count(many, "incident");
  const sensor = incident.sensor ? `: ${words.plain(incident.sensor)}` : "";
  return `${many > 1 ? `${many} incidents, ` : ""}${words.kind(incident.kind)}${sensor}`;
}

/* For how long it has been so, and whether somebody said that they know. */
function since({ incidents: many, incident }) {
  if (!many || !incident) return "";
  const known = incident.shelved ? "shelved" : incident.transition === "acknowledged" && "acknowledged";
  return `for ${words.duration(now() - incident.started)}${known ? `, ${known}` : ""}`;
}

const SINKS = { mqtt: "subscribers", influx: "InfluxDB" };
const group = (label) => el("div", { class: "chips", role: "group", "aria-label": label });
