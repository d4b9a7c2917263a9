// What all charts share: the drawing area, axes, a legend, and a reader for mouse and keyboard.

import { drawn, element } from "./dom.js";
import { ticks } from "./scales.js";
import { tick } from "./units.js";

const TOP = 8, RIGHT = 10, BOTTOM = 22, LETTER = 6.4;

// An SVG that fills what `body` has left; `label` says to a screen reader what it shows.
export function area(body, label) {
  const svg = drawn("svg", { role: "img", "aria-label": label });
  body.append(svg);
  const { width, height } = svg.getBoundingClientRect();
  svg.setAttribute("viewBox", `0 0 ${Math.max(width, 120)} ${Math.max(height, 80)}`);
  return { svg, width: Math.max(width, 120), height: Math.max(height, 80) };
}

// Ticks of values with their lines; gives the plot's box and the scale's ends.
export function valueAxis({ svg, width, height }, low, high, settings) {
  const marks = ticks(low, high, Math.max(2, Math.floor(height / 45)), settings.unit === "locale" ? 1 : 0);
  const texts = marks.map((value) => tick(value, settings));
  const left = Math.max(...texts.map((text) => text.length)) * LETTER + 12;
  const box = { left, right: width - RIGHT, top: TOP, bottom: height - BOTTOM };
  Object.assign(box, { low: marks[0], high: marks.at(-1) });
  marks.forEach((value, index) => {
    const y = box.bottom - ((value - box.low) / (box.high - box.low)) * (box.bottom - box.top);
    svg.append(
      drawn("line", { x1: left, x2: box.right, y1: y, y2: y }),
      drawn("text", { x: left - 7, y: y + 4, "text-anchor": "end" }, texts[index]),
    );
  });
  return box;
}

export function baseAxis(svg, box, marks, x) {
  let free = -Infinity;
  for (const { at, text } of marks) {
    const half = (text.length * LETTER) / 2, middle = Math.min(x(at), box.right - half);
    if (middle - half < free) continue;
    free = middle + half + 10;
    svg.append(drawn("text", { x: middle, y: box.bottom + 16, "text-anchor": "middle" }, text));
  }
}

export function legend(body, items) {
  const list = element("ul", undefined, "legend");
  for (const { name, colour, text } of items) {
    const item = element("li", undefined, colour);
    item.append(element("span", name || "(none)"));
    if (text) item.append(" ", element("b", text));
    item.title = name;
    list.append(item);
  }
  body.append(list);
}

// A line at one of `stops` (x positions) with what `read(index)` says there: `title` and `items`.
// It follows the mouse; with the arrow keys it goes from stop to stop, and a screen reader hears it.
export function reader(body, { svg, width }, box, stops, read) {
  if (!stops.length) return;
  const line = drawn("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
  const tip = element("div", undefined, "tip"), said = element("p", undefined, "spoken");
  let now = -1;
  said.setAttribute("aria-live", "polite");
  tip.hidden = true;
  svg.append(line);
  body.append(tip, said);
  const hide = () => { tip.hidden = true; line.setAttribute("visibility", "hidden"); };
  const show = (index, aloud) => {
    now = Math.max(0, Math.min(index, stops.length - 1));
    const { title, items } = read(now);
    for (const end of ["x1", "x2"]) line.setAttribute(end, stops[now]);
    line.setAttribute("visibility", "visible");
    tip.replaceChildren(element("strong", title));
    legend(tip, items);
    tip.hidden = false;
    const side = stops[now] > width / 2 ? stops[now] - tip.offsetWidth - 12 : stops[now] + 12;
    tip.style.left = `${Math.max(0, Math.min(side, width - tip.offsetWidth))}px`;
    if (aloud) said.textContent = [title, ...items.map(({ name, text }) => `${name}: ${text}`)].join(", ");
  };
  svg.setAttribute("tabindex", 0);
  svg.addEventListener("pointermove", (event) => {
    const x = event.clientX - svg.getBoundingClientRect().left;
    const far = stops.map((stop) => Math.abs(stop - x));
    show(far.indexOf(Math.min(...far)));
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const end = stops.length - 1, left = now < 0 ? end : now - 1;
    const to = { ArrowRight: now + 1, ArrowLeft: left, Home: 0, End: end }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(to, true);
  });
}
