// Makes and fills elements.  Text only ever becomes text: nothing here parses HTML.

// The address of a path of the console, which a reverse proxy may serve below a path of its own.
const BASE = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
export const served = (path) => BASE + path;

export const $ = (id) => document.getElementById(id);

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export const link = (text, to) => Object.assign(element("a", text), { href: to });

export function drawn(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Each cell is [text or node, class name].
export function row(cells, cell = "td") {
  const tr = element("tr");
  for (const [value, className] of cells) {
    const td = element(cell, undefined, className);
    td.append(value ?? "");
    tr.append(td);
  }
  return tr;
}

// Rows of a body in this order.  One that is there already stays, and so do its focus and selection.
export function arrange(body, rows) {
  for (const each of [...body.rows]) if (!rows.includes(each)) each.remove();
  rows.forEach((each, at) => {
    if (body.rows[at] !== each) body.insertBefore(each, body.rows[at] ?? null);
  });
}

// The headings on the cells: on a phone a row is a card, which says them beside its values.
export function carded(tr, table) {
  [...tr.cells].forEach((cell, at) => {
    cell.dataset.name = table.tHead.rows[0].cells[at].textContent;
    cell.classList.toggle("none", ["", "–"].includes(cell.textContent));
  });
  return tr;
}

export function fill(table, rows, empty) {
  if (!rows.length) {
    const td = element("td", undefined, "empty");
    td.append(element("span", empty)); // stays in sight if the table is wider than its box
    td.colSpan = table.tHead.rows[0].cells.length;
    rows = [element("tr")];
    rows[0].append(td);
  }
  table.tBodies[0].replaceChildren(...rows);
}

// A box that scrolls takes the keyboard's focus, else its end is for mice alone; a list stays a list.
export function reachable(box, name) {
  if (box.scrollHeight <= box.clientHeight && box.scrollWidth <= box.clientWidth) return;
  box.tabIndex = 0;
  box.setAttribute("aria-label", name);
  if (!box.matches("ul")) box.setAttribute("role", "group");
}
