// One call in a dialog: its facts, why it costs what it does, the charge line by line, its content.

import { ask } from "./ask.js";
import { content } from "./content.js";
import { feedback } from "./feedback.js";
import { $, element, link, reachable, row, served } from "./dom.js";
import { count, duration } from "./format.js";
import { amount } from "./money.js";
import { reasons } from "./reasons.js";

const COLUMNS = [
  ["Model"], ["Meter"], ["Quantity", "n"], ["Rate", "n"], ["per", "n"], ["Factors"], ["USD", "n"],
];

// `newer` and `older` go to other calls, where there are some.
export async function receipt(id, { newer, older } = {}) {
  const call = await ask("/api/calls/" + id);
  const box = $("receipt");
  const scroll = element("div", undefined, "scroll");
  scroll.append(charge(call));
  const top = head(call, box, { newer, older });
  box.replaceChildren(top, facts(call), scroll, ...feedback(call), content(call.call_id));
  if (!box.open) box.showModal();
  reachable(scroll, "Charge");
}

function head(call, box, { newer, older }) {
  const header = element("header");
  const buttons = element("span", undefined, "buttons");
  const button = (text, act) => {
    const made = Object.assign(element("button", text), { type: "button" });
    made.addEventListener("click", act);
    buttons.append(made);
    return made;
  };
  if (newer) button("Newer", newer);
  if (older) button("Older", older);
  const link = new URL(served(`/calls?call=${call.call_id}`), location).href;
  const copy = button("Copy link", async () => {
    await navigator.clipboard.writeText(link);
    copy.textContent = "Copied";
  });
  if (!navigator.clipboard) copy.remove(); // only a secure page may write to it
  button("Close", () => box.close());
  const model = call.response_model || call.request_model || call.endpoint;
  header.append(element("h2", `Receipt · ${model}`), buttons);
  return header;
}

const TARIFF = /^([^/]+)\/(.+?)(?:@(\d{4}-\d\d-\d\d)T[\d:]+Z)?$/;

// `provider/model@start` of each tariff, and after a # the version of the book.
function pricedBy(tariff) {
  if (!tariff) return "";
  const end = tariff.lastIndexOf("#"), shown = element("span");
  for (const id of tariff.slice(0, end).split(",")) {
    const [, provider, model, since = ""] = id.match(TARIFF) ?? [];
    const to = served(`/tariffs?${new URLSearchParams({ provider, model, since })}`);
    shown.append(model ? link(id, to) : id, " ");
  }
  shown.append(element("small", tariff.slice(end)));
  return shown;
}

const inBatch = ({ subcalls }) => subcalls.some(({ terms }) => terms.processing === "batch");

// Less than nothing if more was written to a cache than it gave back; "" where there was nothing to save.
function saved({ cost_status: status }, usd, could) {
  return could ? amount(usd, status === "estimated" ? status : "exact", { whole: true }) : "";
}

function facts(call) {
  const shown = {
    time: call.ts, provider: `${call.provider} (${call.upstream})`, endpoint: call.endpoint,
    outcome: call.outcome + (call.http_status ? ` · ${call.http_status}` : ""),
    "service tier": call.service_tier, "usage origin": call.usage_origin, "cost status": call.cost_status,
    "first token": duration(call.first_token_us), duration: duration(call.duration_us),
    "proxy overhead": duration(call.overhead_us),
    "in flight": call.in_flight && `${count(call.in_flight)} on its machine`,
    "asked to wait": call.retry_after_s === null ? "" : duration(Math.round(call.retry_after_s * 1e6)),
    "priced by": pricedBy(call.tariff),
    "list price": call.list_status && amount(call.list_usd, call.list_status, { whole: true }),
    "saved by caches": saved(call, call.saved_cache_usd, call.cache_read_tokens + call.cache_write_tokens),
    "saved by the batch": saved(call, call.saved_batch_usd, inBatch(call)),
    credential: call.credential_kind,
    "cost reported": call.reported_usd && amount(call.reported_usd, "exact", { whole: true }),
    error: call.error_message, call: call.call_id,
  };
  const list = element("dl");
  for (const [name, value] of Object.entries(shown)) {
    if (!value) continue;
    const dd = element("dd");
    dd.append(value);
    list.append(element("dt", name), dd);
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
