// Points over two axes of numbers, also with lines through those of one name.

import { area, baseAxis, reader, valueAxis } from "./chart.js";
import { drawn, element } from "./dom.js";
import { colours, fields, isNumber, settings, words } from "./frames.js";
import { linear, ticks } from "./scales.js";
import { shown, tick } from "./units.js";

const LETTER = 6.4, LINE = 12; // pixels of a label

// The first two fields of numbers are x and y, the third is the size of a point, the text its name.
export function xychart(body, panel, answer) {
  const all = fields(answer.targets[0]);
  const label = words(all), numbers = all.filter(isNumber), [across, up, size] = numbers;
  const said = [across, up].map(({ name }) => settings(panel, name));
  const known = (row) => across.values[row] !== null && up.values[row] !== null;
  const rows = across.values.map((_, row) => row).filter(known);
  const name = (row) => (label ? label.values[row] || "(none)" : `${row + 1}`);
  const lines = /lines/.test(panel.fieldConfig.defaults.custom?.show);
  const groups = lines ? [...Map.groupBy(rows, name).values()] : rows.map((row) => [row]);
  const points = groups.map((group) => ({ group, row: group.toSorted(larger(size))[0] }))
    .toSorted((a, b) => across.values[a.row] - across.values[b.row]);
  const text = told(panel, up);
  const each = (point) => numbers.map((field) => `${field.name} ${text(field, point)}`);
  const read = (point) => `${name(point.row)}: ${each(point).join(", ")}`;
  const place = area(body, `${panel.title}. ${points.map(read).join("; ")}`);
  const room = lines ? 1 : 1.1; // for the upper half of the highest point
  const box = valueAxis(place, 0, highest(up, rows) * room, said[1]);
  const { marks, x } = acrossScale(rows.map((row) => Number(across.values[row])), box, said[0]);
  const y = linear(box.low, box.high, box.bottom, box.top), free = labels(place.width);
  const colour = colours(rows.map(name)), at = (row) => ({ x: x(across.values[row]), y: y(up.values[row]) });
  for (const point of points) {
    const r = size ? 4 + 14 * Math.sqrt(Number(size.values[point.row]) / highest(size, rows)) : 5;
    const radius = lines ? r / 2 : r, { x: cx, y: cy } = at(point.row);
    const end = cx + r + 4 + name(point.row).length * LETTER > place.width;
    const kind = colour(name(point.row));
    const dot = drawn("circle", { cx, cy, r: radius, class: `point ${kind}` });
    dot.append(drawn("title", {}, read(point)));
    const beside = { x: end ? cx - r - 4 : cx + r + 4, y: cy + 4, "text-anchor": end ? "end" : "start" };
    if (lines) place.svg.append(drawn("path", { d: through(point.group.map(at)), class: `whisker ${kind}` }));
    place.svg.append(dot);
    if (label && free(beside, name(point.row))) place.svg.append(drawn("text", beside, name(point.row)));
  }
  baseAxis(place.svg, box, marks.map((at) => ({ at, text: tick(at, said[0]) })), x);
  const sizes = size ? `; the larger, the more ${size.name}` : "";
  body.append(element("p", `${up.name} ↑, ${across.name} →${sizes}`, "axes"));
  reader(body, place, box, points.map(({ row }) => x(across.values[row])), (index) => ({
    title: name(points[index].row),
    items: numbers.map((field) => ({
      name: field.name, colour: colour(name(points[index].row)), text: text(field, points[index]),
    })),
  }));
}

const highest = (field, rows) => Math.max(...rows.map((row) => Number(field.values[row])), 0);
const larger = (size) => (a, b) => (size ? size.values[b] - size.values[a] : 0);
const through = (places) => `M${places.map(({ x, y }) => `${x} ${y}`).join("L")}`;

// A value as text; of a line with its ends.
function told(panel, up) {
  return (field, { group, row }) => {
    const say = (each) => shown(field.values[each], settings(panel, field.name));
    if (field !== up || group.length < 2) return say(row);
    const ends = group.toSorted((a, b) => field.values[a] - field.values[b]);
    return `${say(row)} (${say(ends[0])} to ${say(ends.at(-1))})`;
  };
}

// From left to right: by powers of ten where the field says so, and from zero where it does not.
function acrossScale(values, box, said) {
  const most = Math.max(...values, 0), least = Math.min(...values.filter((value) => value > 0));
  if (said["custom.scaleDistribution"]?.type !== "log" || !(most > least)) {
    const marks = ticks(0, most, Math.max(2, Math.floor((box.right - box.left) / 110)));
    return { marks, x: linear(0, marks.at(-1), box.left, box.right) };
  }
  const from = Math.floor(Math.log10(least)), to = Math.ceil(Math.log10(most));
  const scale = linear(from, to, box.left, box.right);
  const marks = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  return { marks, x: (value) => scale(Math.max(from, Math.log10(Number(value)))) };
}

// Whether a label has room within a width; the points of those that have none can still be read one by one.
function labels(most) {
  const taken = [];
  return ({ x, y, "text-anchor": anchor }, text) => {
    const width = text.length * LETTER, left = anchor === "end" ? x - width : x;
    const apart = (each) => left > each.right || left + width < each.left || Math.abs(y - each.y) > LINE;
    const fits = left >= 0 && left + width <= most && taken.every(apart);
    if (fits) taken.push({ left, right: left + width, y });
    return fits;
  };
}
