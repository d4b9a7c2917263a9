// The tiles at the top, and the table of models.

import { $, element, fill, row } from "./dom.js";
import { count, duration, usd } from "./format.js";

export function tiles(total) {
  const shown = [
    ["Spend", usd(total.cost_usd), ""],
    ["At list price", listed(total), ""],
    ["Calls", count(total.calls), ""],
    ["Input tokens", count(total.input_tokens_total), ""],
    ["Output tokens", count(total.output_tokens_total), ""],
    ["First token (p50)", duration(total.first_token_p50_us), ""],
    ["Errors", count(total.errors), total.errors ? "warn" : ""],
    ["Unpriced calls", count(total.unpriced_calls), total.unpriced_calls ? "warn" : ""],
  ];
  $("tiles").replaceChildren(...shown.map(([name, value, state]) => {
    const tile = element("div", undefined, "tile " + state);
    tile.append(element("b", value), element("span", name));
    return tile;
  }));
}

export function models(rows) {
  fill($("models"), rows.map((r) => row([
    [r.provider], [r.model || "–", "name"], [spent(r), "n" + (r.unpriced_calls ? " doubt" : "")],
    [listed(r), "n"],
    [count(r.calls), "n"], [count(r.input_tokens_total), "n"],
    [count(r.output_tokens_total), "n"], [duration(r.first_token_p50_us), "n"],
  ])), "No calls in this period.");
}

function spent({ cost_usd: cost, unpriced_calls: unpriced }) {
  return usd(cost, 4) + (unpriced && cost !== null ? " +" : "");
}

// Without plans and the user's own prices; another figure than the spend, never added to it.
function listed({ list_usd: price, calls, listed_calls: known }) {
  return usd(price, 4) + (known !== calls && price !== null ? " +" : "");
}
