// What a viewer chooses: range, zone and variables.  All of it is in the address, and nothing else is.

import { ask } from "./ask.js";
import { element, served } from "./dom.js";

const RANGES = [
  ["now-15m", "now", "last 15 minutes"], ["now-1h", "now", "last hour"], ["now-6h", "now", "last 6 hours"],
  ["now-24h", "now", "last 24 hours"], ["now-7d", "now", "last 7 days"], ["now-30d", "now", "last 30 days"],
  ["now/d", "now/d", "today"], ["now-1d/d", "now-1d/d", "yesterday"], ["now/w", "now/w", "this week"],
  ["now/M", "now/M", "this month"], ["now-1M/M", "now-1M/M", "last month"], ["now/y", "now/y", "this year"],
];
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const SHARED = ["from", "to", "tz", "var-project", "var-team", "var-provider", "var-model"];
const OWN = "own"; // an option: two fields for times
const ALL = "$__all";

export const address = () => new URLSearchParams(location.search);

// What the address says, or the dashboard.
export function chosen(board) {
  const given = address();
  const { from, to } = board.time;
  return { from: given.get("from") || from, to: given.get("to") || to, tz: given.get("tz") || HERE };
}

// The parameters of a question: range, zone, and the variables that the address names.
export function asked(board) {
  const parameters = new URLSearchParams(chosen(board));
  for (const [name, value] of address()) if (name.startsWith("var-")) parameters.append(name, value);
  return parameters;
}

// The address of another dashboard, or of this one with one more choice.
export function elsewhere(change = {}) {
  const to = address();
  for (const [name, value] of Object.entries(change)) to.set(name, value);
  return to.size ? `?${to}` : "";
}

// The address of what a link of Grafana's leads to, with the range and, if the link carries them, the
// filters that the dashboards about calls know.
export function linked(url) {
  const carried = url.includes("__all_variables") ? SHARED : ["from", "to", "tz"];
  const kept = [...address()].filter(([name]) => carried.includes(name));
  const to = new URLSearchParams(kept);
  return served(url.replace(/^\/d\/([\w-]+).*$/, "/dashboards/$1")) + (to.size ? `?${to}` : "");
}

// The form; `changed` is called once the address has what was chosen.
export async function choices(form, board, changed) {
  const write = (change) => {
    const to = address();
    for (const [name, values] of Object.entries(change)) {
      to.delete(name);
      for (const value of values) to.append(name, value);
    }
    history.replaceState(null, "", to.size ? `?${to}` : location.pathname);
    changed();
  };
  form.replaceChildren(...range(board, write), zones(board, write));
  for (const variable of board.variables) form.append(await list(variable, board, write));
}

function select(name, options, value) {
  const label = element("label", name), made = element("select");
  for (const [key, text] of options) made.append(new Option(text, key, key === value, key === value));
  label.append(made);
  return { label, made };
}

function range(board, write) {
  const { from, to } = chosen(board);
  const known = RANGES.findIndex((each) => each[0] === from && each[1] === to);
  const options = [...RANGES.map((each, index) => [String(index), each[2]]), [OWN, "other…"]];
  const { label, made } = select("Range", options, known < 0 ? OWN : String(known));
  const fields = [["from", from], ["to", to]].map(([name, value]) => {
    const one = element("label", name), input = element("input");
    Object.assign(input, { value, size: 14, title: "now-7d, now/d, 2026-11-01 or 2026-11-01T12:00" });
    input.addEventListener("change", () => write({ [name]: [input.value] }));
    one.append(input);
    one.hidden = known >= 0;
    return one;
  });
  made.addEventListener("change", () => {
    for (const each of fields) each.hidden = made.value !== OWN;
    if (made.value !== OWN) write({ from: [RANGES[made.value][0]], to: [RANGES[made.value][1]] });
  });
  return [label, ...fields];
}

function zones(board, write) {
  const { tz } = chosen(board);
  const names = [...new Set([tz, HERE, "UTC", ...Intl.supportedValuesOf("timeZone")])];
  const { label, made } = select("Zone", names.map((name) => [name, name]), tz);
  made.addEventListener("change", () => write({ tz: [made.value] }));
  return label;
}

// Several values at once in a list that opens; one in a plain one.
async function list(variable, board, write) {
  const name = `var-${variable.name}`, given = address().getAll(name);
  const now = (given.length ? given : variable.default).filter((value) => value !== ALL);
  const found = await options(variable, board);
  const offered = [...new Set([...now, ...found])];
  if (!variable.multi) {
    const { label, made } = select(variable.label, offered.map((value) => [value, value]), now[0]);
    made.addEventListener("change", () => write({ [name]: [made.value] }));
    return label;
  }
  const box = element("details"), title = element("summary"), items = element("div");
  const say = () => {
    const count = items.querySelectorAll(":checked").length;
    title.replaceChildren(`${variable.label} `, element("b", count ? `${count} chosen` : "all"));
  };
  for (const value of offered) {
    const item = element("label"), tick = element("input");
    Object.assign(tick, { type: "checkbox", value, checked: now.includes(value) });
    tick.addEventListener("change", () => {
      write({ [name]: [...items.querySelectorAll(":checked")].map((each) => each.value) });
      say();
    });
    item.append(tick, value);
    items.append(item);
  }
  if (!offered.length) items.append("nothing to choose in this range");
  box.append(title, items);
  say();
  return box;
}

async function options(variable, board) {
  if (variable.type !== "query") return variable.options;
  const path = `/api/dashboards/${board.uid}/variables/${variable.name}`;
  return (await ask(`${path}?${new URLSearchParams(chosen(board))}`).catch(() => ({ options: [] }))).options;
}
