// Budgets: what each has spent of its limit, where it will end, and its state.

import { $, element, fill, row, served } from "./dom.js";
import { count } from "./format.js";
import { amount } from "./money.js";

const UNITS = ["usd", "tokens", "calls"];
const SHOWN_MAX = 50; // keys of all budgets, those nearest to their limit first

export function budgets(found) {
  const nearest = [...found].sort((a, b) => share(b) - share(a)).slice(0, SHOWN_MAX);
  $("budgets").hidden = !found.length;
  fill($("budgets").querySelector("table"), nearest.map(line), "No budgets.");
  const more = found.length - nearest.length;
  $("more-budgets").textContent = more > 0 ? `${count(more)} more in /api/budgets` : "";
}

function line(one) {
  const unit = UNITS.find((each) => `limit_${each}` in one);
  const limit = one[`limit_${unit}`];
  const bar = element("progress");
  bar.max = 100;
  if (one.percent !== null) bar.value = Math.min(Number(one.percent), 100);
  bar.title = one.percent === null ? "no limit, or not known yet" : `${one.percent} %`;
  return row([
    [Object.assign(element("a", name(one)), { href: href(one) }), "name"],
    [element("span", one.state, `budget-${one.state}`)],
    [shown(one[`counted_${unit}`], unit, "not known yet"), "n"],
    [shown(limit, unit, "none"), "n"],
    [bar],
    [forecast(one, unit), "n"],
    [one.window_end ? new Date(one.window_end).toLocaleString() : "never"],
  ]);
}

// The page of one budget, and of one key of it.
export function href(one) {
  return served(`/budgets?${new URLSearchParams({ name: one.name, ...one.key })}`);
}

export function name(one) {
  const values = Object.entries(one.key).map(([key, value]) => `${key} ${value || "(none)"}`);
  return values.length ? `${one.name} (${values.join(", ")})` : one.name;
}

function forecast(one, unit) {
  const text = shown(one[`forecast_${unit}`], unit, "–");
  const low = one[`forecast_low_${unit}`];
  if (low === null || low === undefined) return text;
  const bounds = [low, one[`forecast_high_${unit}`]].map((bound) => shown(bound, unit, "–"));
  return `${text} (${bounds.join(" to ")})`;
}

export function shown(value, unit, none) {
  if (value === null || value === undefined) return none;
  return unit === "usd" ? amount(value) : `${count(Math.round(Number(value)))} ${unit}`;
}

const share = (one) => (one.percent === null ? -1 : Number(one.percent));
