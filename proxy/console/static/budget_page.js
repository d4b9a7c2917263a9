// Budgets: which is open is in the address, with the values of its key.

import { ask } from "./ask.js";
import { editing } from "./budget_form.js";
import { budgets, name, shown } from "./budgets.js";
import { burnDown } from "./burn_down.js";
import { $, element, fill, row, served } from "./dom.js";
import { clock, count } from "./format.js";
import { failed, forever, updated } from "./header.js";
import { amount } from "./money.js";

const REFRESH_MS = 10e3;
const REFUSED_MAX = 50;
const CELLS = { cost_usd: "n", model: "name" };

// The budget and key that the address names; of a budget alone, the key that used most.
function chosen(found, given) {
  if (!given.get("name")) return found[0];
  const mine = found.filter((each) => each.name === given.get("name"));
  if (given.size === 1) return mine.toSorted((a, b) => Number(b.percent ?? -1) - Number(a.percent ?? -1))[0];
  return mine.find((each) =>
    Object.entries(each.key).every(([key, value]) => (given.get(key) ?? "") === value));
}

let drawn = "";

async function refresh() {
  const found = await ask("/api/budgets"), given = new URLSearchParams(location.search);
  budgets(found);
  $("budgets").hidden = false; // also without any
  const one = chosen(found, given);
  $("one").hidden = !one;
  const definition = one && (await open(one));
  if (!one && given.get("name")) throw new Error(`There is no budget ${given.get("name")} with this key.`);
  const mine = one?.origin === "api" ? { name: one.name, definition } : undefined;
  editing(mine, () => refresh().catch(failed));
  updated();
}

async function open(one) {
  const key = new URLSearchParams(one.key), named = encodeURIComponent(one.name);
  const blockedBy = { blocked_by: one.name, since: one.window_start, limit: REFUSED_MAX };
  const asked = new URLSearchParams({ ...blockedBy, ...one.key });
  const [history, refused] = await Promise.all([
    ask(`/api/budgets/${named}/history?${key}`), ask(`/api/refusals?${asked}`),
  ]);
  const now = JSON.stringify([history, refused, { ...one, as_of: "" }, innerWidth]);
  if (now !== drawn) draw(one, history, refused); // nothing moves under somebody who reads it
  drawn = now;
  return history.definition;
}

function draw(one, history, refused) {
  document.title = `${name(one)} · Budgets · Taximeter`;
  $("title").textContent = name(one);
  facts(one, history);
  burnDown($("burn"), history, one, `${name(one)}: ${state(one, history.unit)}`);
  who(history);
  $("firing").replaceChildren(...(one.alerts.length ? one.alerts.map(firing) : [element("li", "None.")]));
  $("refused").textContent = blocked(one);
  fill($("blocked"), refused.map((call) => row([
    [clock(new Date(call.ts), { dated: true })], [call.request_model, "name"], [call.provider],
    [call.team], [call.user_id], [call.client],
  ])), "None in this window.");
}

function state(one, unit) {
  const spent = shown(one[`counted_${unit}`], unit, "not known yet");
  const limit = shown(one[`limit_${unit}`], unit, "");
  return limit ? `${spent} of ${limit}` : `${spent}, no limit`;
}

function facts(one, { unit }) {
  const pairs = Object.entries(one.scope).map(([key, value]) => `${key} = ${value}`);
  const scope = pairs.join(", ") || "all calls";
  const ends = one.window_end ? `until ${new Date(one.window_end).toLocaleString()}` : "for good";
  const from = `from ${new Date(one.window_start).toLocaleString()} ${ends}`;
  const said = [
    state(one, unit), `${scope}; by ${one.period}, ${one.timezone}`, from,
    `action ${one.action}`, one.origin === "file" ? "from the configuration file" : "made here or by API",
  ];
  if (one.unknown_calls) said.push(`${count(one.unknown_calls)} calls of unknown price`);
  const calls = new URLSearchParams({ since: one.window_start });
  for (const [key, value] of Object.entries({ ...one.scope, ...one.key })) calls.append(key, value);
  const link = Object.assign(element("a", "The calls behind it"), { href: served(`/calls?${calls}`) });
  const word = element("b", one.state, `budget-${one.state}`);
  $("facts").replaceChildren(word, ` · ${said.join(" · ")} · `, link);
}

function who({ contributors }) {
  const names = Object.keys(contributors[0] ?? { cost_usd: "" });
  const money = (column) => column === "cost_usd";
  const title = (column) => (money(column) ? "Known cost" : column[0].toUpperCase() + column.slice(1));
  $("who").tHead.rows[0].replaceChildren(...names.map((column) =>
    Object.assign(element("th", title(column), money(column) ? "n" : ""), { scope: "col" })));
  const cell = (each) => (column) =>
    [money(column) ? amount(each[column]) : each[column] || "(none)", CELLS[column] ?? ""];
  fill($("who"), contributors.map((each) => row(names.map(cell(each)))), "No calls in this window.");
}

function firing({ id, threshold, since: at }) {
  const since = at ? ` since ${new Date(at).toLocaleString()}` : "";
  const what = threshold === "forecast" ? "forecast above the limit" : `${threshold} %`;
  const item = element("li", what + since);
  item.title = id;
  return item;
}

// What is turned away, and until when.
function blocked(one) {
  const number = `${count(one.refused_calls ?? 0)} in this window`;
  if (one.action !== "block" || one.state !== "spent") return number;
  const ends = one.window_end && new Date(one.window_end).toLocaleString();
  return `${number}; until ${ends || "it is raised"}`;
}

addEventListener("resize", () => refresh().catch(failed));
addEventListener("popstate", () => refresh().catch(failed));
$("budgets").addEventListener("click", (event) => {
  const link = event.target.closest(`a[href^='${served("/budgets?")}']`);
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  refresh().catch(failed);
  scrollTo({ top: 0 });
});
forever(refresh, REFRESH_MS);
