/* The fleet: every asset, worst first. */

import { badge, el, put } from "../dom.js";
import { ago, assetName, assetPlace, number, state } from "../words.js";

export async function show(root, _, page) {
  const grid = el("ul", { class: "grid" });
  put(root, el("div", { class: "view-head" }, el("h1", {}, "Fleet")), grid);
  return {
    update(live) {
      put(grid, [...live.assets.values()].map((row) => el("li", { class: "card" },
        el("a", { href: `#/asset/${encodeURIComponent(row.asset)}` }, assetName(row.asset)), " ", assetPlace(row.asset), " ",
        badge(state(row.state)), number(row.score), ago(row.heard))));
    },
  };
}
