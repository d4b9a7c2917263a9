// One call in a dialog: its facts, why it costs what it does, the charge line by line, its content.

import { ask } from "./ask.js";
import { content } from "./content.js";
import { feedback } from "./feedback.js";
import { $, element, row } from "./dom.js";
import { count, duration } from "./format.js";
import { amount } from "./money.js";
import { reasons } from "./reasons.js";

const COLUMNS = [
  ["Model"], ["Meter"], ["Quantity", "n"], ["Rate", "n"], ["per", "n"], ["Factors"], ["USD", "n"],
];

export async function receipt(id) {
  const call = await ask("/api/calls/" + id);
  const box = $("receipt");
  const scroll = element("div", undefined, "scroll");
  scroll.append(charge(call));
  box.replaceChildren(head(call, box), facts(call), scroll, ...feedback(call), content(call.call_id));
  box.showModal();
}

function head(call, box) {
  const header = element("header");
  const close = element("button", "Close");
  close.addEventListener("click", () => box.close());
  const model = call.response_model || call.request_model || call.endpoint;
  header.append(element("h2", `Receipt · ${model}`), close);
  return header;
}

function facts(call) {
  const shown = {
    time: call.ts, provider: `${call.provider} (${call.upstream})`, endpoint: call.endpoint,
    outcome: call.outcome + (call.http_status ? ` · ${call.http_status}` : ""),
    "service tier": call.service_tier, "usage origin": call.usage_origin, "cost status": call.cost_status,
    "first token": duration(call.first_token_us), duration: duration(call.duration_us),
    "proxy overhead": duration(call.overhead_us), tariff: call.tariff,
    "list price": call.list_status && amount(call.list_usd, call.list_status, { whole: true }),
    credential: call.credential_kind,
    "cost reported": call.reported_usd && amount(call.reported_usd, "exact", { whole: true }),
    error: call.error_message, call: call.call_id,
  };
  const list = element("dl");
  for (const [name, value] of Object.entries(shown)) {
    if (value) list.append(element("dt", name), element("dd", value));
  }
  if (call.reasons.length) {
    const why = element("dd", undefined, "reasons");
    why.append(...reasons(call));
    list.append(element("dt", "reasons", "reasons"), why);
  }
  return list;
}

function charge(call) {
  const table = element("table");
  const body = table.createTBody();
  table.createTHead().append(row(COLUMNS, "th"));
  for (const line of call.lines) {
    const tr = row([
      [line.model], [line.meter], [count(line.quantity), "n"], [line.rate, "n"], [count(line.per), "n"],
      [Object.entries(line.factors).map(([name, value]) => `${name} × ${value}`).join(", ")], [line.usd, "n"],
    ]);
    tr.title = [line.rule, line.source].join("\n");
    body.append(tr);
  }
  const total = amount(call.cost_usd, call.cost_status, { whole: true });
  const foot = table.createTFoot();
  foot.append(row([["Total"], [], [], [], [], [], [total, "n"]]));
  if (call.floor_usd) {
    const floor = amount(call.floor_usd, "partial", { whole: true });
    foot.append(row([["If the provider bills it"], [], [], [], [], [], [floor, "n"]]));
  }
  return table;
}
