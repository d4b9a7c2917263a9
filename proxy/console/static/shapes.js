// Panels without axes: numbers, gauges, bars, rings and text.

import { area, legend } from "./chart.js";
import { drawn, element } from "./dom.js";
import { colours, fields, isNumber, settings, threshold, words } from "./frames.js";
import { shown } from "./units.js";

const last = (values) => values.findLast((value) => value !== null) ?? null;

// What Grafana reduces a panel to: the last value of each field of numbers.
function reduced(panel, answer) {
  return answer.targets.flatMap((target) => fields(target).filter(isNumber)
    .map(({ name, values }) => {
      const said = settings(panel, name);
      return { name: said.displayName ?? name, value: last(values), said };
    }));
}

export function stat(body, panel, answer) {
  const found = reduced(panel, answer);
  const box = element("div", undefined, "stats");
  for (const { name, value, said } of found) {
    const one = element("p", undefined, value === null ? "" : threshold(Number(value), said));
    const number = element("b", shown(value, said));
    number.title = value ?? "";
    one.append(number, ...(found.length > 1 ? [element("span", name)] : []));
    box.append(one);
  }
  body.append(box);
}

export function gauge(body, panel, answer) {
  const [{ name, value, said }] = reduced(panel, answer);
  const { min = 0, max = 1 } = said;
  const place = area(body, `${panel.title}: ${shown(value, said)}`);
  const middle = place.width / 2, bottom = place.height - 16;
  const radius = Math.max(20, Math.min(middle - 20, bottom - 12));
  const share = Math.max(0, Math.min(1, (Number(value ?? min) - min) / (max - min)));
  const arc = (part) => {
    const angle = Math.PI * (1 - part);
    const x = middle + radius * Math.cos(angle), y = bottom - radius * Math.sin(angle);
    return `M${middle - radius} ${bottom}A${radius} ${radius} 0 0 1 ${x} ${y}`;
  };
  place.svg.append(
    drawn("path", { d: arc(1), class: "ring" }),
    drawn("path", { d: arc(share), class: `ring full ${threshold(Number(value), said)}` }),
    drawn("text", { x: middle, y: bottom - 6, class: "middle" }, shown(value, said)),
    drawn("text", { x: middle, y: bottom + 14, "text-anchor": "middle" }, name),
  );
}

// Bars from left to right, one row for each text, its fields of numbers stacked.
export function barchart(body, panel, answer) {
  const all = fields(answer.targets[0]);
  const label = words(all), numbers = all.filter(isNumber);
  const colour = colours(numbers.map(({ name }) => name));
  const sum = (row) => numbers.reduce((all, { values }) => all + Number(values[row] ?? 0), 0);
  const most = Math.max(...label.values.map((_, row) => sum(row)), 0) || 1;
  const list = element("div", undefined, "bars");
  label.values.forEach((name, row) => {
    const line = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    let from = 0;
    for (const field of numbers) {
      const width = (100 * Number(field.values[row] ?? 0)) / most;
      const of = numbers.length > 1 ? colour(field.name) : "k0";
      line.append(drawn("rect", { x: from, width, y: 0, height: 10, class: of }));
      from += width;
    }
    const values = numbers.map(({ name, values }) => shown(values[row], settings(panel, name)));
    list.append(element("span", name || "(none)"), line, element("b", values.join(" + ")));
  });
  body.append(list);
  if (numbers.length > 1) legend(body, numbers.map(({ name }) => ({ name, colour: colour(name) })));
}

export function piechart(body, panel, answer) {
  const all = fields(answer.targets[0]);
  const label = words(all), number = all.find(isNumber);
  const parts = (label?.values ?? all.map(({ name }) => name))
    .map((name, row) => ({ name, value: label ? number.values[row] : all[row].values[0] }))
    .filter(({ value }) => Number(value) > 0);
  const whole = parts.reduce((sum, { value }) => sum + Number(value), 0);
  const colour = colours(parts.map(({ name }) => name));
  const said = settings(panel, number.name);
  const share = (value) => shown(value / whole, { unit: "percentunit" });
  const text = (value) => `${shown(value, said)} · ${share(value)}`;
  const items = parts.map(({ name, value }) => ({ name, colour: colour(name), text: text(value) }));
  body.classList.add("beside");
  legend(body, items); // first: the ring gets the room that it leaves
  const place = area(body, `${panel.title}: ${items.map(({ name, text }) => `${name} ${text}`).join(", ")}`);
  const x = place.width / 2, y = place.height / 2, radius = Math.max(10, Math.min(x, y) - 14);
  let from = 0;
  for (const { name, value } of parts) {
    const part = Number(value) / whole, length = 2 * Math.PI * radius;
    const ring = { cx: x, cy: y, r: radius, class: `slice ${colour(name)}` };
    const dash = `${Math.max(part * length - 1.5, 0.5)} ${length}`;
    const turn = `rotate(${from * 360 - 90} ${x} ${y})`;
    place.svg.append(drawn("circle", { ...ring, "stroke-dasharray": dash, transform: turn }));
    from += part;
  }
  place.svg.append(drawn("text", { x, y: y + 5, class: "middle small" }, shown(whole, said)));
}

// Paragraphs; nothing here parses HTML.
export function text(body, panel) {
  for (const part of panel.options.content.split(/\n\n+/)) body.append(element("p", part));
}
