/* A dialog of the browser's own: the keyboard stays in it, Escape leaves it, and so does the end of its view. */

import { el, put } from "./dom.js";

/* `carryOut(values)` is what the dialog is for; it stays, with all that was filled in, where that says why it was not
   done, or throws. Returns the values of the fields by name, null where it was left. */
export function confirm({ title, text = "", fields = [], action = "OK", carryOut = null }, signal = null) {
  return new Promise((resolve) => {
    const inputs = new Map(fields.map((field) => [field.name, input(field)]));
    const refused = el("p", { class: "mistake", role: "alert", hidden: true });
    const submit = el("button", { type: "submit", class: "primary" }, action);
    const form = el("form", {},
      el("h2", { id: "dialog-title" }, title),
      text && el("p", {}, text),
      fields.map((field) => el("label", { class: "field" },
        el("span", {}, field.label),
        inputs.get(field.name),
        field.hint && el("small", {}, field.hint))),
      refused,
      el("div", { class: "actions" },
        el("button", { type: "button", class: "quiet", onclick: () => leave() }, "Cancel"),
        submit));
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
    const leave = () => dialog.close();
    let values = null;

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (submit.disabled) return;
      const given = Object.fromEntries([...inputs].map(([name, node]) => [name, node.value]));
      submit.disabled = true;
      const why = (await carryOut?.(given).catch((error) => error.message)) ?? "";
      submit.disabled = false;
      put(refused, why);
      refused.hidden = !why;
      if (why) return;
      values = given;
      dialog.close();
    });
    signal?.addEventListener("abort", leave);
    dialog.addEventListener("close", () => {
      signal?.removeEventListener("abort", leave);
      dialog.remove();
      resolve(values);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function input({ name, type = "text", value = "", options = [], required = false, ...rest }) {
  const { label, hint, ...further } = rest;
  if (type === "select") {
    const among = options.map((each) =>
      el("option", { value: each.value, selected: each.value === value }, each.label));
    return el("select", { name, required, ...further }, among);
  }
  if (type === "textarea") return el("textarea", { name, required, rows: 3, value, ...further });
  return el("input", { name, type, required, value, autocomplete: "off", ...further });
}
