/* What operators say of incidents and assets: a question in a dialog, then a command through the door that all use. */

import { identifier } from "./api.js";
import { fromInput, now, toInput } from "./times.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WHO = "enginewatch.who";
const FOR = [
  [HOUR, "1 hour"], [8 * HOUR, "8 hours"], [DAY, "1 day"], [3 * DAY, "3 days"], [7 * DAY, "1 week"],
].map(([value, label]) => ({ value: String(value), label }));
const MOST_TEXT = 1000; // characters that the daemon takes
const MOST_NAME = 100;

/* By action: the question that is asked about what is called `name`, what of the answers the command has, and
   what is said once it was done. */
const ACTIONS = {
  acknowledge: ({ name }) => ({
    said: "acknowledged",
    title: `Acknowledge: ${name}`,
    action: "Acknowledge",
    text: "Others see that somebody looks after it. It stays open until the engine runs as usual again.",
    fields: [why("Note")],
  }),
  shelve: ({ name }) => ({
    said: "shelved",
    title: `Shelve: ${name}`,
    action: "Shelve",
    text: "Nobody hears of it until then; afterwards it is open again, unless it is over.",
    fields: [{ name: "for", label: "For", type: "select", options: FOR, value: String(8 * HOUR) }, why("Why")],
    command: (values) => ({ until: Math.round(now()) + Number(values.for) }),
  }),
  comment: ({ name }) => ({
    said: "commented on",
    title: `Comment on: ${name}`,
    action: "Comment",
    fields: [why("Comment", true)],
  }),
  real: ({ name }) => ({
    said: "noted as a real fault",
    title: `A real fault: ${name}`,
    action: "It was real",
    text: "Models are trained without the time of real faults, and thresholds are judged by them.",
    fields: [why("What was it?")],
    command: () => ({ action: "verdict", verdict: "real" }),
  }),
  false: ({ name }) => ({
    said: "noted as a false alarm",
    title: `A false alarm: ${name}`,
    action: "It was false",
    text: "The time of a false alarm counts as normal when a model is trained.",
    fields: [why("Why did it look like one?")],
    command: () => ({ action: "verdict", verdict: "false" }),
  }),
  accept: ({ name }) => ({
    said: "accepted as the new normal",
    title: `Accept as the new normal: ${name}`,
    action: "Accept",
    text: "Its open incident ends, and its threshold is learned anew from how it runs now. "
      + "Use this after a repair or a change, not for a fault.",
    fields: [why("What was changed?")],
  }),
  maintenance: ({ name }) => ({
    said: "put under maintenance",
    title: `Maintenance: ${name}`,
    action: "Begin maintenance",
    text: "While it is worked on nothing of it is scored, and nobody is alarmed.",
    fields: [
      { name: "from", label: "From", type: "datetime-local", value: toInput(now()), required: true },
      { name: "until", label: "Until", type: "datetime-local", value: toInput(now() + 2 * HOUR), required: true },
      why("Why"),
    ],
    command: (values) => {
      const since = fromInput(values.from);
      return { ...(since > now() ? { since } : {}), until: fromInput(values.until) };
    },
  }),
  maintained: ({ name }) => ({
    said: "watched again",
    title: `End maintenance: ${name}`,
    action: "End maintenance",
    text: "It is scored again from now on.",
    fields: [why("Note")],
  }),
};
const OF_ASSETS = new Set(["accept", "maintenance", "maintained"]);

function why(label, required = false) {
  return { name: "why", label, type: "textarea", required, maxlength: MOST_TEXT };
}

function who() {
  return {
    name: "who",
    label: "Your name",
    value: remembered(),
    required: true,
    maxlength: MOST_NAME,
    hint: "It stands beside what you say, and is kept in this browser.",
  };
}

function remembered() {
  try {
    return localStorage.getItem(WHO) ?? "";
  } catch {
    return "";
  }
}

function remember(name) {
  try {
    localStorage.setItem(WHO, name);
  } catch {
    /* it is asked for again */
  }
}

/* Ask, and carry out. `about` is {incident, asset, name}. Returns whether it was done, which is told. */
export async function act(page, action, about) {
  return (await together(page, action, [about], about.name)) > 0;
}

/* The same for several incidents, one after the other; how many were done. Where none was, the dialog stays and says
   why. */
export async function together(page, action, several, name) {
  const question = ACTIONS[action]({ name });
  const ids = new Map(); // what was said -> the command's id
  let done = 0;
  let later = ""; // what is said where it is carried out elsewhere, and later

  /* What is said a second time because no answer came has the same id, and is carried out once. */
  function identified(said) {
    const key = JSON.stringify(said);
    if (!ids.has(key)) ids.set(key, identifier());
    return { id: ids.get(key), ...said };
  }

  async function carryOut(values) {
    remember(values.who);
    const said = { who: values.who, why: values.why ?? "", ...question.command?.(values) };
    const refused = [];
    for (const about of several) {
      const of = OF_ASSETS.has(action) || !about.incident ? { asset: about.asset } : { incident: about.incident };
      try {
        const answer = await page.command(identified({ action, ...of, ...said }));
        if (answer.done) {
          done += 1;
          later = answer.later ?? "";
        } else refused.push(answer.reply || "The daemon did not do it, and does not say why.");
      } catch (error) {
        refused.push(error.message);
        break;
      }
    }
    if (!done) return refused[0];
    const became = later || question.said;
    const what = several.length === 1 ? `${name}: ${became}` : `${done} of ${several.length}${later && ":"} ${became}`;
    page.say([what, ...refused.slice(0, 1)].join("; "), refused.length ? "warning" : "good");
    return "";
  }

  await page.confirm({ ...question, fields: [...question.fields, who()], carryOut });
  return done;
}
