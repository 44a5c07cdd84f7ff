/* A button for every fault that a simulated fleet can have: injects it into one engine, and mends it again. */

import { el, put } from "../dom.js";
import { when } from "../times.js";
import * as words from "../words.js";

const EVERY_MS = 2000;

/* {node, close()}. The node stays hidden where no simulated fleet takes orders. */
export function faultPanel(page) {
  const engine = el("select", { name: "engine" });
  const severity = el("select", { name: "severity" },
    ["severe", "moderate", "mild"].map((each) => el("option", { value: each }, each)));
  const sensor = el("select", { name: "sensor" });
  const away = el("p", { class: "dim", role: "status", hidden: true },
    "The simulated fleet is not there just now.");
  const kinds = el("div", { class: "stack" });
  const injected = el("div", { class: "stack" });
  const there = el("div", { class: "stack" },
    el("div", { class: "row" },
      field("Engine", engine),
      field("Severity", severity),
      field("Sensor, for its faults", sensor)),
    kinds,
    injected);
  const node = el("section", { class: "card stack", hidden: true, "aria-labelledby": "lab-faults" },
    el("h2", { id: "lab-faults" }, "Break an engine of the demo"),
    el("p", { class: "dim" },
      "A fault begins at once and stays until it is mended. "
      + "Enginewatch is not told of it: look how long it takes."),
    away,
    there);

  async function order(button, fields) {
    button.disabled = true;
    try {
      const { done, reply } = await page.post("api/v1/demo/faults", fields);
      page.say(reply, done ? "good" : "warning");
      await look();
    } catch (error) {
      page.mistake(error, "critical");
    } finally {
      button.disabled = false;
    }
  }

  function offer(found) {
    put(engine, found.assets.map((each) => el("option", { value: each }, each)));
    put(sensor, found.sensors.map((each) => el("option", { value: each }, words.plain(each))));
    const group = (title, onSensor) => el("div", { role: "group", "aria-label": title },
      el("h3", {}, title),
      el("div", { class: "chips" },
        found.faults.filter((each) => each.on_sensor === onSensor).map((each) => breaking(each))));
    put(kinds, group("Faults of the engine", false), group("Faults of a sensor", true));
  }

  /* The button of one kind of fault. */
  function breaking({ kind, what, on_sensor: onSensor }) {
    const button = el("button", {
      type: "button",
      class: "chip",
      title: what,
      onclick: () => order(button, {
        do: "inject",
        engine: engine.value,
        kind,
        severity: severity.value,
        sensor: onSensor ? sensor.value : "",
      }),
    }, words.plain(kind));
    return button;
  }

  let offered = "";
  let told = "";
  async function look() {
    const found = await page.get("api/v1/demo/faults");
    node.hidden = !found.simulated;
    there.hidden = !found.available;
    away.hidden = found.available;
    if (!found.available) return found;
    const offers = JSON.stringify(found.assets);
    if (offers !== offered) {
      offered = offers;
      offer(found);
    }
    const now = JSON.stringify(found.injected);
    if (now !== told) {
      told = now;
      put(injected, found.injected.length > 0 && [
        el("h3", {}, "Injected now"),
        el("ul", { class: "plain stack" }, found.injected.map((each) => mendable(each))),
      ]);
    }
    return found;
  }

  function mendable(fault) {
    const of = fault.sensor ? ` of ${words.plain(fault.sensor)}` : "";
    const what = `${words.plain(fault.kind)}${of} (${fault.severity})`;
    const key = [...page.live.assets.keys()].find((each) => words.assetName(each) === fault.engine);
    const button = el("button", {
      type: "button",
      "aria-label": `Mend ${what} of ${fault.engine}`,
      onclick: () => order(button, {
        do: "mend",
        engine: fault.engine,
        kind: fault.kind,
        sensor: fault.sensor,
      }),
    }, "Mend");
    return el("li", { class: "row" },
      button,
      key ? el("a", { href: words.assetAddress(key) }, fault.engine) : fault.engine,
      el("span", {}, `${what} since ${when(fault.since)}`));
  }

  let timer = null;
  async function again() {
    let found = null;
    try {
      found = await look();
    } catch (error) {
      if (error.name === "AbortError") return;
      found = { simulated: !node.hidden }; // the shell says that the daemon is away
    }
    if (found.simulated && !page.signal.aborted) timer = setTimeout(again, EVERY_MS);
  }
  again();
  return { node, close: () => clearTimeout(timer) };
}

const field = (label, node) => el("label", { class: "field" }, el("span", {}, label), node);
