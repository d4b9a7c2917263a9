// The rows of the list of calls, and what is asked for them.  A row that stays keeps its element, and so
// its focus and selection.

import { changed, narrowed } from "./address.js";
import { $, arrange, carded, element, row } from "./dom.js";
import { clock, count, duration } from "./format.js";
import { amount, certain } from "./money.js";
import { sentences } from "./reasons.js";

export const COLUMNS = [
  "ts", "call_id", "attempt", "provider", "request_model", "response_model", "team", "feature", "user_id",
  "client", "outcome", "error_type", "cost_usd", "cost_status", "reasons", "input_tokens_total",
  "output_tokens_total", "first_token_us", "duration_us",
];

export function list(calls, open) {
  const body = $("calls").tBodies[0];
  const there = new Map([...body.rows].map((each) => [each.dataset.key, each]));
  const rows = calls.map((call) => there.get(key(call)) ?? listed(call, open));
  if (!rows.length) rows.push(nothing());
  arrange(body, rows);
}

export const listedIds = () =>
  [...$("calls").tBodies[0].rows].map((each) => each.dataset.call).filter(Boolean);

// What may change of a call, and where its links lead.
const key = (call) => [call.call_id, call.attempt, call.cost_usd, location.search].join(" ");

function nothing() {
  const line = element("tr");
  const cell = element("td", "No calls. Widen the period, or take a filter away.", "empty");
  cell.colSpan = $("calls").tHead.rows[0].cells.length;
  line.append(cell);
  return line;
}

function listed(call, open) {
  const at = new Date(call.ts), time = element("a", clock(at, { dated: true }));
  time.title = at.toLocaleString();
  time.href = changed({ call: call.call_id }, { paged: true });
  time.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
    event.preventDefault();
    open(call.call_id);
  });
  const tr = row([
    [time, "time"], [by("model", call.response_model || call.request_model), "name"], [cost(call), "n"],
    [by("provider", call.provider)], [by("team", call.team)], [by("feature", call.feature)],
    [by("user", call.user_id)], [outcome(call)],
    [count(call.input_tokens_total), "n"], [count(call.output_tokens_total), "n"],
    [duration(call.first_token_us), "n"], [duration(call.duration_us), "n"], [by("client", call.client)],
  ]);
  Object.assign(tr.dataset, { key: key(call), call: call.call_id });
  return carded(tr, $("calls"));
}

// A value is a link that filters by it.
function by(name, value) {
  return value ? Object.assign(element("a", value), { href: narrowed(name, value) }) : "–";
}

function cost(call) {
  const { cost_usd: usd, cost_status: status } = call;
  const shown = element("span", amount(usd, status), certain(status) ? "" : "doubt");
  shown.title = [usd ?? "", status, ...sentences(call)].filter(Boolean).join("\n");
  return shown;
}

function outcome(call) {
  const shown = element("span", undefined, call.outcome === "ok" ? "ok" : "bad");
  shown.append(by("outcome", call.outcome), call.error_type ? ` ${call.error_type}` : "");
  return shown;
}
