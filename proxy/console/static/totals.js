// The tiles at the top, the first of them large, and the table of models.

import { $, element, fill, row } from "./dom.js";
import { compact, count, duration } from "./format.js";
import { amount, certain, doubts, money } from "./money.js";

// With `before`, the spend says how it differs from that of the equal period before.
export function tiles(total, before) {
  const { cost_usd: usd, cost_status: status } = total;
  const number = (name, value, warns) => [name, compact(value), warns && value ? "warn" : "", count(value)];
  const exact = [usd ?? "", doubts(total)].join("\n").trim();
  const shown = [
    ["Spend", amount(usd, status), certain(status) ? "" : "warn", exact],
    ["At list price", listed(total), "", total.list_usd ?? ""],
    number("Calls", total.calls),
    number("Input tokens", total.input_tokens_total),
    number("Output tokens", total.output_tokens_total),
    ["First token (p50)", duration(total.first_token_p50_us), ""],
    number("Errors", total.errors, true),
    number("Unpriced calls", total.unpriced_calls, true),
  ];
  $("tiles").replaceChildren(...shown.map(([name, value, state, title = ""]) => {
    const tile = element("div", undefined, "tile " + state);
    tile.title = title;
    tile.append(element("b", value), element("span", name));
    return tile;
  }));
  $("tiles").firstChild.classList.add("first");
  if (before?.calls) $("tiles").firstChild.append(element("span", change(total, before), "change"));
}

// Known costs alone are compared; where there are none, there is no share.
function change(total, before) {
  const then = Number(before.cost_usd ?? 0), now = Number(total.cost_usd ?? 0);
  const was = `${money(before.cost_usd, before.cost_status, before.unpriced_calls)} in the same time before`;
  if (!then) return was;
  const share = Math.round((now / then - 1) * 100);
  return `${share > 0 ? "+" : share < 0 ? "−" : "±"}${Math.abs(share).toLocaleString("en")} % · ${was}`;
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
