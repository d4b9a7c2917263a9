// A panel as a table: its own drawing, and the twin of every chart for who would rather read.

import { element } from "./dom.js";
import { fields, settings } from "./frames.js";
import { instant } from "./scales.js";
import { shown } from "./units.js";

const ROWS_MAX = 100; // the CSV file has all

// `choose(column, value)` gives the address at which the value is chosen, if it can be.
export function table(body, panel, answer, zone, choose) {
  for (const target of answer.targets) {
    const all = fields(target), box = element("div", undefined, "scroll");
    const made = element("table"), head = element("tr");
    for (const field of all) {
      const cell = element("th", undefined, field.kind === "number" ? "n" : "");
      cell.scope = "col";
      cell.append(sorting(field, all, () => fillRows(made, all, panel, zone, choose)));
      head.append(cell);
    }
    made.createTHead().append(head);
    made.createTBody();
    fillRows(made, all, panel, zone, choose);
    box.append(made);
    body.append(box);
    const { length } = target.rows;
    if (length > ROWS_MAX) body.append(element("p", `The first ${ROWS_MAX} of ${length} rows.`, "axes"));
  }
}

// A heading that sorts by its column, downwards first.
function sorting(field, all, redraw) {
  const button = element("button", field.name);
  button.type = "button";
  button.addEventListener("click", () => {
    const down = field.sorted !== "down";
    for (const each of all) each.sorted = undefined;
    field.sorted = down ? "down" : "up";
    const heads = button.closest("tr").cells;
    for (const head of heads) head.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
    redraw();
  });
  return button;
}

function fillRows(made, all, panel, zone, choose) {
  const by = all.find(({ sorted }) => sorted);
  const rows = (all[0]?.values ?? []).map((_, row) => row);
  if (by) {
    const [least, read] = by.kind === "number" ? [-Infinity, Number] : ["", String];
    const value = (row) => read(by.values[row] ?? least);
    rows.sort((a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0));
    if (by.sorted === "down") rows.reverse();
  }
  made.tBodies[0].replaceChildren(...rows.slice(0, ROWS_MAX).map((row) => {
    const line = element("tr");
    for (const field of all) line.append(cell(field, field.values[row], panel, zone, choose));
    return line;
  }));
}

function cell({ name, kind }, value, panel, zone, choose) {
  const made = element("td", undefined, kind === "number" ? "n" : "");
  if (kind === "time") made.textContent = value ? instant(value, zone) : "–";
  else if (kind === "number") {
    made.textContent = shown(value, settings(panel, name));
    made.title = value ?? "";
  } else {
    const href = choose(name, value), text = String(value ?? "") || "(none)";
    made.append(href ? Object.assign(element("a", text), { href }) : text);
  }
  return made;
}
