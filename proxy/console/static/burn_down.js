// What a window held over time, against its limit: spent so far, an even pace, and where it will end.

import { area, baseAxis, valueAxis } from "./chart.js";
import { drawn, element } from "./dom.js";
import { linear, timeTicks } from "./scales.js";

const LETTERS = 75; // pixels of a label on the axis of time
const NAMES = [
  ["spent", "spent"], ["limit", "limit"], ["even", "even pace"], ["expected", "forecast, with its interval"],
];
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

// `history` is that of /api/budgets/NAME/history, `now` the entry of /api/budgets.
export function burnDown(body, history, now, said) {
  body.replaceChildren();
  const unit = history.unit, number = (name) => read(now[name.replace("usd", unit)]);
  const from = Date.parse(history.window_start), to = Date.parse(history.window_end ?? "") || Date.now();
  const at = Math.min(Date.now(), to), limit = read(history.limit);
  const path = [[from, 0], ...history.points.map((each) => [Date.parse(each.at), Number(each.total)])];
  path.push([at, path.at(-1)[1]]);
  const [forecast, low, high] = ["forecast_usd", "forecast_low_usd", "forecast_high_usd"].map(number);
  const most = Math.max(limit ?? 0, high ?? 0, forecast ?? 0, path.at(-1)[1]);
  const place = area(body, said);
  const box = valueAxis(place, 0, most || 1, { unit: unit === "usd" ? "currencyUSD" : "short" });
  const x = linear(from, to, box.left, box.right), y = linear(box.low, box.high, box.bottom, box.top);
  const pixels = ([time, value]) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
  const line = (points, kind) =>
    place.svg.append(drawn("path", { d: `M${points.map(pixels).join("L")}`, class: kind }));
  const start = [at, path.at(-1)[1]];
  if (low !== undefined && high !== undefined) line([start, [to, high], [to, low], start], "band");
  if (limit !== undefined) {
    line([[from, limit], [to, limit]], "limit");
    if (history.window_end) line([[from, 0], [to, limit]], "even");
  }
  line(stepped(path), "spent");
  if (forecast !== undefined) line([start, [to, forecast]], "expected");
  baseAxis(place.svg, box, timeTicks(from, to, (box.right - box.left) / LETTERS, HERE), x);
  const legend = element("ul", undefined, "legend");
  legend.append(...NAMES.filter(([kind]) => place.svg.querySelector(`.${kind}`)).map(([kind, text]) => {
    const item = element("li", undefined, `of-${kind}`);
    item.append(element("span", text));
    return item;
  }));
  body.append(legend);
}

const read = (text) => (text === null || text === undefined ? undefined : Number(text));

// An amount is there from its step on.
function stepped(path) {
  return path.flatMap(([at, value], index) =>
    (index ? [[at, path[index - 1][1]], [at, value]] : [[at, value]]));
}
