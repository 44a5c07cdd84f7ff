/* Elements out of words: everything is put in as text, never as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/* An element. Attributes: `class`, `dataset` (an object), `on…` (a function), booleans, all else as text.
   Children: nodes, texts, numbers, lists of them; null, undefined and false are left out. */
export function el(tag, attributes = {}, ...children) {
  return made(document.createElement(tag), attributes, children);
}

/* The same in SVG. */
export function svg(tag, attributes = {}, ...children) {
  return made(document.createElementNS(SVG, tag), attributes, children);
}

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") Object.assign(node.dataset, value);
    else if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in node) node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...nodes(children));
  return node;
}

/* Children as they can be appended. */
export function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/* Everything in a node gives way to these. */
export function put(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

/* The children of a node are these, in this order. Those that are in their place already are not touched, so that what
   has the focus keeps it. */
export function arrange(node, children) {
  const wanted = new Set(children);
  for (const child of [...node.children]) if (!wanted.has(child)) child.remove();
  let at = node.firstElementChild;
  for (const child of children) {
    if (child === at) at = at.nextElementSibling;
    else node.insertBefore(child, at);
  }
}

/* What makes the content of a node anew: what had the focus there has it again, or else the heading. */
export function focused(node, make) {
  const { activeElement } = document;
  const had = node.contains(activeElement) ? activeElement.textContent : null;
  make();
  if (had === null) return;
  const heading = node.querySelector("h1");
  const again = [...node.querySelectorAll("a, button")].find((each) => each.textContent === had) ?? heading;
  if (again === heading) heading.tabIndex = -1;
  again.focus({ preventScroll: true });
}

/* The text of a node, touched only where it is another one. */
export function text(node, value) {
  const wanted = value === null || value === undefined ? "" : String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/* An attribute, touched only where it is another one; null takes it away. */
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/* The shapes by which states are told apart without colours, in a box of 16 by 16. */
const SHAPES = {
  octagon: "M5.2 1.5h5.600L14.5 5.2v5.600L10.8 14.5H5.2L1.5 10.8V5.2z",
  triangle: "M8 1.5 15 14H1z",
  cross: "M3 1 8 6l5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5-5-5z",
  circle: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z",
  ring: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zm0 2.5a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  half: "M8 1.5a6.5 6.5 0 0 0 0 13zM8 1.5a6.5 6.5 0 0 1 0 13v-1.5a5 5 0 0 0 0-10z",
  bars: "M4 2h3v12H4zM9 2h3v12H9z",
  square: "M2.5 2.5h11v11h-11z",
  frame: "M2 2h12v12H2zm2 2v8h8V4z",
  diamond: "M8 1l7 7-7 7-7-7z",
  wrench: "M10.500 1a4.5 4.5 0 0 0-4.300 5.900L1 12.200 3.800 15l5.300-5.2A4.5 4.5 0 0 0 14.900 4.300L12 7.200 9 7V4z",
};

/* One of these shapes. It says nothing by itself: a word stands beside it. */
export function shape(name) {
  return svg("svg", { class: "shape", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: SHAPES[name] ?? SHAPES.circle, "fill-rule": "evenodd" }));
}

/* A state as word, shape and colour. `state` is {word, shape, tone} (see words.js); `words` in place of its word. */
export function badge(state, words = state.word) {
  return el("span", { class: "badge", dataset: { tone: state.tone } }, shape(state.shape), el("span", {}, words));
}

/* A labelled figure. */
export function figure(label, value, detail = null) {
  return el("div", { class: "figure" }, el("dt", {}, label), el("dd", {}, value, detail && el("small", {}, detail)));
}

/* A card that has its title as its name. `name` is what no other card of the view is called. */
export function card(name, title, ...children) {
  return el("section", { class: "card", "aria-labelledby": `${name}-title` },
    el("h2", { id: `${name}-title` }, title),
    ...children);
}
