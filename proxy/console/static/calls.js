// The latest calls; selecting one opens its receipt.

import { $, arrange, carded, element, fill, row } from "./dom.js";
import { count, duration } from "./format.js";
import { amount, certain } from "./money.js";
import { sentences } from "./reasons.js";
import { receipt } from "./receipt.js";
import { failure } from "./state.js";

export const COLUMNS = [
  "ts", "call_id", "attempt", "provider", "request_model", "response_model", "project", "team", "feature",
  "user_id", "tags", "operation", "stream", "outcome", "error_type", "cost_usd", "cost_status", "reasons",
  "input_tokens_total", "output_tokens_total", "first_token_us", "duration_us",
];

export function calls(rows) {
  const table = $("calls"), body = table.tBodies[0];
  $("shown").textContent = rows.length ? `${rows.length}, select one to see its receipt` : "";
  if (!rows.length) return fill(table, [], "No calls yet. Point an SDK at the proxy, or run: taximeter demo");
  const there = new Map([...body.rows].map((each) => [each.dataset.key, each]));
  arrange(body, rows.map((call) => there.get(key(call)) ?? carded(listed(call), table)));
}

const key = (call) => [call.call_id, call.attempt, call.cost_usd].join(" ");

function listed(call) {
  const tr = row([
    [new Date(call.ts).toLocaleTimeString()],
    [call.response_model || call.request_model || call.provider, "name"], [cost(call), "n"],
    [call.operation + (call.stream ? " · stream" : "")], [outcome(call)],
    [count(call.input_tokens_total), "n"], [count(call.output_tokens_total), "n"],
    [duration(call.first_token_us), "n"], [duration(call.duration_us), "n"], [tags(call)],
  ]);
  const open = () => receipt(call.call_id).catch(failure);
  tr.tabIndex = 0;
  Object.assign(tr.dataset, { key: key(call), call: call.call_id });
  tr.addEventListener("click", open);
  tr.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  return tr;
}

function cost(call) {
  const { cost_usd: usd, cost_status: status } = call;
  const shown = element("span", amount(usd, status), certain(status) ? "" : "doubt");
  shown.title = [call.cost_status, ...sentences(call)].join("\n");
  return shown;
}

function outcome(call) {
  const good = call.outcome === "ok";
  return element("span", good ? "ok" : call.error_type || call.outcome, good ? "ok" : "bad");
}

function tags(call) {
  const box = element("span");
  const { team, feature, project, user_id: user } = call;
  const named = { team, feature, project, user, ...call.tags };
  for (const [name, value] of Object.entries(named)) {
    if (value) box.append(element("span", `${name} ${value}`, "tag"));
  }
  return box;
}
