// Spend over time: one bar for each step, a colour for each of the dearest models.

import { $, drawn, element } from "./dom.js";
import { clock } from "./format.js";
import { amount } from "./money.js";

const SERIES_MAX = 6; // colours; the rest is "other"
const HEIGHT = 220, LEFT = 64, BOTTOM = 22, TOP = 12;

export function timeline(rows, sinceMs, stepMs, now) {
  const ranked = byCost(rows);
  const bars = Map.groupBy(rows, (r) => r.time);
  const svg = $("timeline");
  const width = svg.clientWidth || 600;
  const highest = Math.max(0, ...[...bars.values()].map(total));
  const step = (width - LEFT) / (Math.ceil((now - sinceMs) / stepMs) + 1);
  const y = (value) => HEIGHT - BOTTOM - (highest ? value / highest : 0) * (HEIGHT - BOTTOM - TOP);
  const x = (at) => LEFT + (Math.floor((Date.parse(at) - sinceMs) / stepMs) + 1) * step;
  const place = (at) => ({ x: x(at) + step * 0.1, width: Math.max(step * 0.8, 1), y });
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(
    ...costAxis(highest, width, y),
    ...[...bars].flatMap(([at, bar]) => stacked(at, bar, ranked, place(at))),
    ...timeAxis(sinceMs, now, stepMs, width),
  );
  legend(ranked);
}

const cost = (r) => Number(r.cost_usd || 0);

const total = (bar) => bar.reduce((sum, r) => sum + cost(r), 0);

function byCost(rows) {
  const models = [...Map.groupBy(rows, (r) => r.model)];
  return models.toSorted((a, b) => total(b[1]) - total(a[1])).map(([name]) => name);
}

function costAxis(highest, width, y) {
  return [0, 0.5, 1].flatMap((share) => {
    const at = y(highest * share);
    return [
      drawn("line", { x1: LEFT, x2: width, y1: at, y2: at }),
      drawn("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, amount(highest * share)),
    ];
  });
}

function timeAxis(sinceMs, now, stepMs, width) {
  return [[0, "start"], [0.5, "middle"], [1, "end"]].map(([share, anchor]) => {
    const at = new Date(sinceMs + share * (now - sinceMs));
    const place = { x: LEFT + share * (width - LEFT), y: HEIGHT - 6, "text-anchor": anchor };
    return drawn("text", place, clock(at, { dated: stepMs >= 3600e3 }));
  });
}

function stacked(at, bar, ranked, { x, width, y }) {
  const colour = (r) => Math.min(ranked.indexOf(r.model), SERIES_MAX);
  const ordered = bar.filter((r) => cost(r) > 0).toSorted((a, b) => colour(a) - colour(b));
  let base = 0;
  return ordered.map((r) => {
    const low = y(base);
    base += cost(r);
    const high = y(base);
    const box = drawn("rect", { x, width, y: high, height: low - high, class: "c" + colour(r) });
    const spent = amount(r.cost_usd, r.cost_status);
    box.append(drawn("title", {}, `${new Date(at).toLocaleString()}\n${r.model}: ${spent}`));
    return box;
  });
}

function legend(ranked) {
  $("legend").replaceChildren(...ranked.slice(0, SERIES_MAX + 1).map((name, index) => {
    const item = element("li", undefined, "c" + index);
    item.append(element("span", index === SERIES_MAX ? "other" : name || "no model"));
    return item;
  }));
}
