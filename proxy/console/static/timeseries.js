// Values over time: bars, lines and areas, stacked or not; and a heatmap of counts.

import { area, baseAxis, legend, reader, valueAxis } from "./chart.js";
import { drawn } from "./dom.js";
import { colours, few, fields, series } from "./frames.js";
import { instant, linear, timeTicks } from "./scales.js";
import { shown } from "./units.js";

const SHADES = 6;
const LETTERS = 75; // pixels of a label on the axis of time
const SOLID_MAX = 6; // lines that colours alone tell apart
const EMPTY = new Map();

const px = (number) => number.toFixed(1);
const boxed = (left, low, right, high) => `M${px(left)} ${px(low)}V${px(high)}H${px(right)}V${px(low)}z`;

export function timeseries(body, panel, answer, zone) {
  const custom = panel.fieldConfig.defaults.custom ?? {};
  const bars = custom.drawStyle === "bars", stacked = custom.stacking?.mode === "normal";
  const { kept, left } = few(series(panel, answer), stacked);
  const of = colours([...new Set(kept.map(owner))]), colour = (each) => of(owner(each));
  const step = answer.step_s * 1000;
  const times = [...new Set(kept.flatMap(({ at }) => [...at.keys()]))].toSorted((a, b) => a - b);
  const layers = stacked ? stack(kept, times) : kept.map((each) => ({ ...each, top: each.at, base: EMPTY }));
  const common = panel.fieldConfig.defaults;
  const named = kept.filter((each) => !dashed(each));
  legend(body, [...named.map((each) => ({ name: each.name, colour: colour(each) })),
    ...(left ? [{ name: `${left} more in the table`, colour: "kother" }] : [])]);
  const place = area(body, spoken(panel, kept, times, zone));
  const tops = layers.flatMap(({ top }) => [...top.values()].filter((value) => value !== null));
  const lowest = Math.min(common.min ?? 0, ...tops), highest = common.max ?? Math.max(0, ...tops);
  const box = valueAxis(place, lowest, highest, kept[0].settings);
  const from = Math.min(answer.from, times[0]), to = Math.max(answer.to, times.at(-1) + (bars ? step : 0));
  const x = linear(from, to, box.left, box.right), y = linear(box.low, box.high, box.bottom, box.top);
  const filled = custom.fillOpacity > 0, spans = Boolean(custom.spanNulls);
  if (named.length > SOLID_MAX) place.svg.classList.add("many");
  for (const layer of layers) {
    const draw = bars ? barPath : linePath;
    for (const [kind, path] of Object.entries(draw(layer, times, { x, y, step, filled, spans }))) {
      const bound = dashed(layer) ? "bound " : "";
      if (path) place.svg.append(drawn("path", { d: path, class: `${bound}${kind} ${colour(layer)}` }));
    }
  }
  baseAxis(place.svg, box, timeTicks(from, to, (box.right - box.left) / LETTERS, zone), x);
  reader(body, place, box, times.map((at) => x(at + (bars ? step / 2 : 0))), (index) => ({
    title: instant(times[index], zone),
    items: kept.map((each) => ({ ...each, value: each.at.get(times[index]) }))
      .filter(({ value }) => value !== undefined && value !== null && !(stacked && !value))
      .toSorted((a, b) => b.value - a.value)
      .map((each) => ({ name: each.name, colour: colour(each), text: shown(each.value, each.settings) })),
  }));
}

// A dashed series is a bound of the one whose name it has, but for its last word.
const dashed = ({ settings }) => settings["custom.lineStyle"]?.fill === "dash";
const owner = (each) => (dashed(each) ? each.name.replace(/ \w+$/, "") : each.name);

function spoken(panel, kept, times, zone) {
  const names = kept.map(({ name }) => name).join(", ");
  return `${panel.title}: ${names}, from ${instant(times[0], zone)} to ${instant(times.at(-1), zone)}`;
}

// Each series on top of the ones before it; what is below 0, below them.
function stack(kept, times) {
  const above = new Map(times.map((at) => [at, 0])), below = new Map(above);
  return kept.map((each) => {
    const base = new Map(), top = new Map();
    for (const [at, value] of each.at) {
      const height = value < 0 ? below : above;
      base.set(at, height.get(at));
      height.set(at, height.get(at) + (value ?? 0));
      top.set(at, height.get(at));
    }
    return { ...each, base, top };
  });
}

function barPath({ top, base }, times, { x, y, step }) {
  let path = "";
  for (const [at, value] of top) {
    const low = y(base.get(at) ?? 0), high = y(value ?? 0), left = x(at);
    if (low !== high) path += boxed(left, low, Math.max(left + 1, x(at + step) - 1.5), high);
  }
  return { bar: path };
}

// A line is broken where steps are missing, and a value between two gaps is a dot; or, with
// `spans`, it goes from value to value, each with its dot.
function linePath({ top, base }, times, { x, y, step, filled, spans }) {
  const runs = [];
  let last = -Infinity;
  for (const at of times) {
    const value = top.get(at);
    if (value === null || value === undefined) continue;
    if (!runs.length || (!spans && at - last > step * 1.5)) runs.push([]);
    runs.at(-1).push([x(at), y(value), y(base.get(at) ?? 0)]);
    last = at;
  }
  const alone = spans ? runs.flat() : runs.filter((run) => run.length === 1).flat();
  const dots = alone.map(([left, high]) => `M${px(left)} ${px(high)}h0`);
  const through = (run, row) => run.map((each) => `${px(each[0])} ${px(each[row])}`).join("L");
  const long = runs.filter((run) => run.length > 1);
  const under = long.map((run) => `M${through(run, 1)}L${through(run.toReversed(), 2)}z`);
  const line = long.map((run) => `M${through(run, 1)}`).join("");
  return { fill: filled ? under.join("") : "", line, dot: dots.join("") };
}

// Columns: time, the lower end of a bucket, its count.  One path for each shade.
export function heatmap(body, panel, answer, zone) {
  const [time, bucket, count] = fields(answer.targets[0]);
  const numbers = bucket.values.map(Number), step = answer.step_s * 1000;
  const levels = [...new Set(numbers)].toSorted((a, b) => a - b), times = [...new Set(time.values)];
  const most = Math.max(...count.values.map(Number));
  const place = area(body, `${panel.title}: counts from ${instant(times[0], zone)}`);
  const said = { unit: panel.options.yAxis?.unit ?? panel.fieldConfig.defaults.unit };
  const amount = (row) => shown(count.values[row], { unit: "locale" });
  const box = { left: 70, right: place.width - 10, top: 8, bottom: place.height - 22 };
  const from = Math.min(answer.from, ...times), to = Math.max(answer.to, ...times.map((at) => at + step));
  const x = linear(from, to, box.left, box.right), y = linear(0, levels.length, box.bottom, box.top);
  const paths = Array(SHADES).fill("");
  numbers.forEach((level, index) => {
    const share = Math.log1p(count.values[index]) / Math.log1p(most), row = levels.indexOf(level);
    const at = time.values[index], shade = Math.min(SHADES - 1, Math.floor(SHADES * share));
    paths[shade] += boxed(x(at), y(row), x(at + step), y(row + 1));
  });
  paths.forEach((path, shade) => place.svg.append(drawn("path", { d: path, class: `heat heat${shade}` })));
  const every = Math.ceil(levels.length / ((box.bottom - box.top) / 22));
  levels.forEach((level, row) => {
    if (row % every) return;
    const left = { x: box.left - 7, y: y(row) + 3, "text-anchor": "end" };
    place.svg.append(drawn("text", left, shown(level, said)));
  });
  baseAxis(place.svg, box, timeTicks(from, to, (box.right - box.left) / LETTERS, zone), x);
  reader(body, place, box, times.map((at) => x(at + step / 2)), (index) => ({
    title: instant(times[index], zone),
    items: numbers.map((level, row) => ({ name: `from ${shown(level, said)}`, colour: "heatkey", row }))
      .filter(({ row }) => time.values[row] === times[index])
      .map((each) => ({ ...each, text: amount(each.row) })),
  }));
}
