// The tiles at the top, and the table of models.

import { $, element, fill, row } from "./dom.js";
import { count, duration } from "./format.js";
import { amount, certain, doubts, money } from "./money.js";

export function tiles(total) {
  const spend = money(total.cost_usd, total.cost_status, total.unpriced_calls);
  const shown = [
    ["Spend", spend, certain(total.cost_status) ? "" : "warn", doubts(total)],
    ["At list price", listed(total), ""],
    ["Calls", count(total.calls), ""],
    ["Input tokens", count(total.input_tokens_total), ""],
    ["Output tokens", count(total.output_tokens_total), ""],
    ["First token (p50)", duration(total.first_token_p50_us), ""],
    ["Errors", count(total.errors), total.errors ? "warn" : ""],
    ["Unpriced calls", count(total.unpriced_calls), total.unpriced_calls ? "warn" : ""],
  ];
  $("tiles").replaceChildren(...shown.map(([name, value, state, title = ""]) => {
    const tile = element("div", undefined, "tile " + state);
    tile.title = title;
    tile.append(element("b", value), element("span", name));
    return tile;
  }));
}

export function models(rows) {
  fill($("models"), rows.map((r) => row([
    [r.provider], [r.model || "–", "name"], [spent(r), "n"],
    [listed(r), "n"],
    [count(r.calls), "n"], [count(r.input_tokens_total), "n"],
    [count(r.output_tokens_total), "n"], [duration(r.first_token_p50_us), "n"],
  ])), "No calls in this period.");
}

function spent(sums) {
  const { cost_usd: usd, cost_status: status } = sums;
  const shown = element("span", amount(usd, status), certain(status) ? "" : "doubt");
  shown.title = doubts(sums);
  return shown;
}

// Without plans and the user's own prices; another figure than the spend, never added to it.
const listed = ({ list_usd: usd, list_status: status }) => amount(usd, status);
