/* Charts by plotly.js, which is loaded when the first one is drawn. They take their colours from the page's theme and
   are drawn anew when it changes. plotly.js takes some HTML in its texts: what did not come from this page itself goes
   through `escaped` first. */

let loading = null;
const drawn = new Map(); // node -> {traces, layout, options}

/* plotly.js out of the plotly package, served by the daemon. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "page/plotly.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = null;
      reject(new Error("plotly.js could not be loaded: is the package plotly installed beside the daemon?"));
    };
    document.head.append(script);
  });
  return loading;
}

/* A text as plotly.js shows it letter by letter. */
export const escaped = (words) =>
  String(words).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/* A colour of the theme as the browser draws it now: "text", "dim", "line", "surface", "accent", "good", "warning",
   "critical", "idle", "busy". With `alpha` below 1 it lets through what lies below. */
export function colour(name, alpha = 1) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/* Colours for so many lines that can be told apart in both themes, also by the colour-blind (after Okabe and Ito). */
export const series = (at) => {
  const light = ["#0072b2", "#b84e00", "#007a59", "#a3407f", "#8a6d00", "#2f6f9f", "#5b5b5b"];
  const night = ["#56b4e9", "#e69f00", "#2fc79b", "#e89ac7", "#f0e442", "#9ec9ff", "#c0c0c0"];
  const among = isDark() ? night : light;
  return among[at % among.length];
};

const wanted = matchMedia("(prefers-color-scheme: dark)");
function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : wanted.matches;
}

/* Draw, or draw anew. `traces` and `layout` may be functions, which are asked again when the theme changes: so they
   can use `colour`. Returns plotly's node. */
export async function chart(node, traces, layout = {}, options = {}) {
  const library = await plotly();
  if (!node.isConnected) return node;
  drawn.set(node, { traces, layout, options });
  await draw(library, node);
  return node;
}

async function draw(library, node) {
  const { traces, layout, options } = drawn.get(node);
  const given = typeof layout === "function" ? layout() : layout;
  const own = themed(given);
  const lines = typeof traces === "function" ? traces() : traces;
  await library.react(node, lines, own, { displaylogo: false, responsive: true, displayModeBar: false, ...options });
}

/* The layout with the theme's colours below what it says itself. */
function themed(layout) {
  const axis = {
    gridcolor: colour("line"),
    linecolor: colour("line"),
    zerolinecolor: colour("line"),
    tickfont: { color: colour("dim") },
    automargin: true,
  };
  const names = new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))]);
  const axes = Object.fromEntries([...names].map((name) => [name, { ...axis, ...layout[name] }]));
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 12, t: 8, b: 32 },
    hovermode: "x unified",
    ...layout,
    font: { color: colour("text"), size: 12, family: getComputedStyle(document.body).fontFamily, ...layout.font },
    hoverlabel: {
      bgcolor: colour("surface"),
      bordercolor: colour("line"),
      font: { color: colour("text") },
      ...layout.hoverlabel,
    },
    ...axes,
  };
}

/* Take a chart away with what it holds on to. */
export function purge(node) {
  if (drawn.delete(node) && window.Plotly) window.Plotly.purge(node);
}

function again() {
  for (const node of [...drawn.keys()]) {
    if (node.isConnected) draw(window.Plotly, node);
    else purge(node);
  }
}
addEventListener("enginewatch:theme", again);
wanted.addEventListener("change", again);
