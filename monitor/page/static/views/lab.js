/* Lab: a model tried on a file or on a simulated sample, what every floor of the threshold would bring, and, where a
   simulated fleet takes orders, a button for every fault. Nothing here changes what is watched. */

import { purge } from "../charts.js";
import { el, put } from "../dom.js";
import * as words from "../words.js";
import { faultPanel } from "./lab_faults.js";
import { results } from "./lab_results.js";

const MOST_BYTES = 8 * 2 ** 20; // as the daemon has it
const SEVERITIES = ["severe", "moderate", "mild"];

export async function show(root, _, page) {
  const { models, faults } = await page.get("api/v1/lab/models");
  const shown = el("div", { class: "stack" });
  const form = request(models, faults, page, {
    take: (found, model) => results(shown, found, model, form.again),
    clear,
  });
  const panel = faultPanel(page);
  put(root,
    el("div", { class: "view-head" },
      el("h1", {}, "Lab"),
      el("p", { class: "dim" }, "A model tried on rows that you bring. Nothing here changes what is watched.")),
    el("div", { class: "columns" }, form.node, panel.node),
    shown);

  /* What was scored before is not of what is asked for now. */
  function clear() {
    for (const chart of shown.querySelectorAll(".chart")) purge(chart);
    put(shown);
  }

  return {
    close() {
      panel.close();
      clear();
    },
  };
}

/* -- what is to be scored ---------------------------------------------------------------------------------------- */

function request(models, faults, page, { take, clear }) {
  const [model, modelField] = select("model", "Model", models.map((each) =>
    [each.id, each.in_use ? `${each.model}, in use by class ${each.id}` : `${each.id}, which no class uses`]));

  const file = el("input", {
    type: "file",
    name: "file",
    accept: ".csv,.txt,.tsv,text/csv",
    "aria-describedby": "lab-file-hint lab-mistake",
    onchange: told,
  });
  const chosen = el("small", { id: "lab-file-hint" },
    "A header line with the sensors' names, and a column with the time; at most 8 MB and 10,000 rows.");
  const drop = el("label", { class: "field drop" },
    el("span", {}, "Drop a CSV file here, or choose one"),
    file,
    chosen);
  const [time, timeField] = input("time", "Column of the time",
    "Empty: time, timestamp and the like are found by themselves.");
  const [period, periodField] = input("period_ms", "Or: time between two rows, in ms",
    "Where the file has no column of times.",
    { type: "number", min: 1, step: 1 });
  const missing = el("input", { type: "checkbox", name: "allow_missing" });
  const further = el("details", {},
    el("summary", {}, "If the file says no time, or lacks sensors"),
    el("div", { class: "stack" },
      timeField,
      periodField,
      el("label", { class: "row" }, missing, "Score without the sensors that are missing")));
  const ofFile = el("div", { class: "stack" }, drop, further);

  const [kind, kindField] = select("kind", "Fault", [
    ["", "none: a normal sample"],
    ...faults.map((each) => [each.kind, `${words.plain(each.kind)}: ${each.what}`]),
  ]);
  const [severity, severityField] = select("severity", "Severity", SEVERITIES.map((each) => [each, each]));
  const [sensor, sensorField] = select("sensor", "Sensor that fails", []);
  const [seconds, secondsField] = input("duration_s", "Length in seconds",
    "The fault begins in the middle.",
    { type: "number", min: 60, max: 1800, step: 1, value: 900, required: true });
  const [seed, seedField] = input("seed", "Number of the engine and its drive",
    "The same number gives the same sample.",
    { type: "number", min: 0, step: 1, value: 1, required: true });
  const ofSample = el("div", { class: "stack" },
    kindField,
    severityField,
    sensorField,
    el("div", { class: "columns" }, secondsField, seedField));

  const sample = el("input", { type: "radio", name: "what", value: "sample", checked: true });
  const upload = el("input", { type: "radio", name: "what", value: "file" });
  const button = el("button", { type: "submit", class: "primary" }, "Score it");
  const state = el("p", { role: "status", class: "dim" });
  const mistake = el("p", { role: "alert", class: "mistake", id: "lab-mistake", hidden: true });
  const node = el("form", {
    class: "card stack lab-form",
    "aria-labelledby": "lab-what",
    onchange: arrange,
    onsubmit: (event) => {
      event.preventDefault();
      score();
    },
  },
    el("h2", { id: "lab-what" }, "What is scored"),
    modelField,
    el("fieldset", { class: "row" },
      el("legend", { class: "visually-hidden" }, "From where"),
      el("label", { class: "row" }, sample, "A simulated sample"),
      el("label", { class: "row" }, upload, "A file of yours")),
    ofSample,
    ofFile,
    mistake,
    el("div", { class: "row" }, button, state));
  arrange();
  taking(drop, (files) => {
    file.files = files;
    told();
  });

  function arrange() {
    ofSample.hidden = !sample.checked;
    ofFile.hidden = sample.checked;
    const of = faults.find((each) => each.kind === kind.value);
    severityField.hidden = !of;
    sensorField.hidden = !of?.on_sensor;
    const sensors = models.find((each) => each.id === model.value)?.sensors ?? [];
    const before = sensor.value;
    put(sensor, sensors.map((each) => el("option", { value: each.name }, words.plain(each.name))));
    if (sensors.some((each) => each.name === before)) sensor.value = before;
  }

  function refuse(text) {
    mistake.hidden = !text;
    put(mistake, text);
  }

  function told() {
    const given = file.files[0];
    put(chosen, given ? `${given.name}, ${words.bytes(given.size)}` : "No file is chosen.");
  }

  /* Where the request goes, and what it says. */
  async function wish(asset) {
    if (sample.checked) {
      const of = faults.find((each) => each.kind === kind.value);
      const fault = of && { kind: of.kind, severity: severity.value, sensor: of.on_sensor ? sensor.value : "" };
      const drive = { duration_s: Number(seconds.value), seed: Number(seed.value) };
      return ["api/v1/lab/sample", { model: model.value, ...drive, ...fault }];
    }
    const given = file.files[0];
    if (!given) throw new Error("Choose a file first.");
    return ["api/v1/lab/score", {
      model: model.value,
      name: given.name,
      csv: await csvOf(given),
      time: time.value.trim(),
      asset,
      allow_missing: missing.checked,
      ...(period.value && { period_ms: Number(period.value) }),
    }];
  }

  async function score(asset = "") {
    refuse("");
    button.disabled = true;
    put(state, "Scoring …");
    try {
      const [path, body] = await wish(asset);
      const found = await page.post(path, body, { signal: page.signal });
      put(state, `${words.count(found.rows, "row")} of ${found.asset} scored; the result is below.`);
      take(found, models.find((each) => each.id === found.model));
    } catch (error) {
      if (error.name === "AbortError") return;
      put(state, "");
      clear();
      refuse(error.message);
      if (upload.checked && error.status) further.open = true; // what helps may be in there
    } finally {
      button.disabled = false;
    }
  }
  return { node, again: score };
}

/* A field of the form: what is filled in, and the label around it. */
function select(name, label, options) {
  const node = el("select", { name }, options.map(([value, text]) => el("option", { value }, text)));
  return [node, el("label", { class: "field" }, el("span", {}, label), node)];
}

function input(name, label, hint, attributes = {}) {
  const node = el("input", { name, autocomplete: "off", ...attributes });
  return [node, el("label", { class: "field" }, el("span", {}, label), node, el("small", {}, hint))];
}

/* `take(files)` is called with what is dropped on a node. */
function taking(node, take) {
  for (const name of ["dragenter", "dragover"]) {
    node.addEventListener(name, (event) => {
      event.preventDefault();
      node.dataset.over = "";
    });
  }
  for (const name of ["dragleave", "drop"]) node.addEventListener(name, () => delete node.dataset.over);
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
}

/* The text of a file; throws, in words, where it cannot be taken. */
async function csvOf(file) {
  if (file.size > MOST_BYTES) {
    throw new Error(`${file.name} has ${words.bytes(file.size)}, and at most 8 MB are taken: cut the file.`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is no text in UTF-8: save it as CSV in UTF-8.`);
  }
}
