// Tariffs: what is searched for, or the one model that is open, is in the address.

import { address, changed } from "./address.js";
import { ask } from "./ask.js";
import { $, element, fill, link, row, served } from "./dom.js";
import { count } from "./format.js";
import { failed, updated } from "./header.js";
import { ownPrices } from "./own_prices.js";

const ASKED = ["search", "provider", "own", "offset"];
const SHOWN = ["input", "output", "cache_read"];
const MILLION = "1000000";
const OTHERS_MAX = 2;
const UNITS = {
  token: "tokens", second: "seconds", character: "characters", minute: "minutes", hour: "hours",
};

// The page of one model.
const href = (provider, model) => served(`/tariffs?${new URLSearchParams({ provider, model })}`);

async function show() {
  const given = address();
  const model = given.get("model");
  for (const id of ["one", "all"]) $(id).hidden = (id === "one") !== Boolean(model);
  const path = encodeURI(`/api/tariffs/${given.get("provider")}/${model}`);
  const asked = new URLSearchParams([...given].filter(([name, value]) => ASKED.includes(name) && value));
  const found = await ask(model ? path : `/api/tariffs?${asked}`);
  model ? one(found, given.get("since")) : list(found, given);
  updated();
}

function list(found, given) {
  const form = document.forms[0].elements;
  form.provider.append(...found.providers.map((name) => element("option", name)));
  for (const name of ["search", "provider"]) form[name].value = given.get(name) ?? "";
  form.own.checked = given.get("own") === "true";
  const first = Number(given.get("offset") ?? 0);
  const last = first + found.tariffs.length;
  const range = found.total > found.tariffs.length ? `${count(first + 1)}–${count(last)} of ` : "";
  const models = found.total === 1 ? "model" : "models";
  $("found").textContent = `${range}${count(found.total)} ${models}; USD per million tokens unless noted`;
  const none = "No own prices yet. How to set one is below.";
  const empty = given.get("own") ? none : "No tariff has these words in its name.";
  fill($("tariffs"), found.tariffs.map(line), empty);
  const size = found.next ? found.next - first : first;
  const pages = [];
  if (first) pages.push(link("Previous", changed({ offset: String(Math.max(first - size, 0) || "") })));
  if (found.next) pages.push(link("Next", changed({ offset: String(found.next) })));
  $("pages").replaceChildren(...pages);
  if (given.get("own") && !found.total) $("own").open = true;
}

function line(one) {
  const name = element("span");
  name.append(link(`${one.provider}/${one.model}`, href(one.provider, one.model)));
  if (one.own) name.append(" ", element("span", "own", "tag"));
  if (one.replaced) name.append(" ", element("span", "your own price applies", "tag"));
  if (one.state !== "in force") name.append(" ", element("span", one.state, "tag"));
  const found = new Map(one.standard.map((rate) => [rate.meter, rate]));
  const others = one.standard.filter((rate) => !SHOWN.includes(rate.meter));
  const more = others.length > OTHERS_MAX ? ` and ${others.length - OTHERS_MAX} more` : "";
  const shown = others.slice(0, OTHERS_MAX).map((rate) => `${rate.meter} ${token(rate)}`).join(", ") + more;
  return row([
    [name, "name"], ...SHOWN.map((meter) => [token(found.get(meter)), "n"]), [shown, "why"],
    [since(one)], [one.checked], [source(one.source), "why"],
  ]);
}

const since = (one) => one.since || (one.first_known ? `known from ${one.first_known}` : "always");

function token(rate) {
  if (!rate) return "–";
  return rate.per === MILLION && rate.unit === "token" ? prices(rate) : whole(rate);
}

// At least two decimals, as on a bill; the digits are the tariff's.
function money(price, currency) {
  const [whole, part = ""] = price.split(".");
  const digits = `${whole}.${part.padEnd(2, "0")}`;
  return currency === "USD" ? `$${digits}` : `${currency} ${digits}`;
}

function prices(rate) {
  const each = rate.prices.map((price) => money(price, rate.currency));
  if (each.length < 2) return each[0] ?? "unknown";
  return each.map((price, at) => (at ? `${price} above ${count(rate.steps[at])}` : price)).join(", ");
}

function whole(rate) {
  if (!rate.per) return prices(rate);
  const unit = UNITS[rate.unit], number = rate.per === MILLION ? "million" : count(rate.per);
  const per = rate.per === "1" && unit ? unit.slice(0, -1) : [number, unit].filter(Boolean).join(" ");
  return per === "1" ? `${prices(rate)} each` : `${prices(rate)} per ${per}`;
}

// A place to read, or what a person wrote about one.
function source(text) {
  if (!/^https?:/.test(text)) return text;
  const found = link(new URL(text).host, text);
  found.title = text;
  return found;
}

function one(found, asked) {
  document.title = `${found.model} · Tariffs · Taximeter`;
  $("title").textContent = `${found.provider}/${found.model}`;
  const current = found.periods.find((each) => each.in_force);
  const calls = served(`/calls?${new URLSearchParams({ provider: found.provider, model: found.model })}`);
  $("facts").replaceChildren(current ? "In force" : "No price is in force now", " · ",
    link("Its calls", calls), " · ", link("All tariffs", served("/tariffs")));
  $("current").replaceChildren(...(current ? period(current) : []));
  const others = found.periods.filter((each) => !each.in_force);
  $("history").replaceChildren(...(others.length ? others.map((each) => folded(each, asked)) : [
    element("p", "None: this is the only price known.", "facts")]));
  $("add").textContent = found.add;
}

function folded(each, asked) {
  const box = element("details");
  const ends = each.until ? ` to ${each.until}` : "";
  const what = [`${since(each)}${ends}`, each.own ? "your own" : "shipped", each.changed].filter(Boolean);
  box.append(element("summary", what.join(" · ")), ...period(each));
  box.open = asked !== null && asked === each.since;
  return box;
}

function period(each) {
  const facts = element("p", undefined, "facts");
  const said = [
    each.own ? "your own price" : "shipped price", since(each), each.until && `until ${each.until}`,
    `checked on ${each.checked}`, each.changed && `changed: ${each.changed}`, each.where,
    each.by_completion && "the end of the call selects the price",
    each.minimum_usd && `at least $${each.minimum_usd} a request`,
  ];
  facts.append(`${said.filter(Boolean).join(" · ")} · source: `, source(each.source));
  const names = element("p", `Names: ${each.names.join(", ")}`, "facts");
  const rest = (rate) => 2 * (rate.unit !== "token") + (rate.when !== "");
  const ordered = each.rates.toSorted((a, b) => rest(a) - rest(b)); // what most calls pay comes first
  const sourced = ordered.some((rate) => rate.source !== each.source);
  const heads = [["Meter"], ["Price"], ["When"], ...(sourced ? [["Source"]] : [])];
  const rates = table("Rates", heads, ordered.map((rate) => [
    [rate.meter, "name"], [whole(rate)], [when(rate), "why"],
    ...(sourced ? [[source(rate.source), "why"]] : []),
  ]));
  if (!each.factors.length) return [facts, names, rates];
  const times = each.factors.map((factor) => [
    [factor.name], [`× ${factor.factor}`, "n"], [factor.when || "always", "why"],
  ]);
  return [facts, names, rates, element("h3", "Surcharges and discounts"),
    table("Surcharges and discounts", [["Name"], ["Factor", "n"], ["When"]], times)];
}

function when(rate) {
  const volume = rate.counter && `by volume of ${rate.counter}`;
  const least = rate.minimum && `at least ${count(rate.minimum)}`;
  const blocks = rate.round_up && `in blocks of ${count(rate.round_up)}`;
  return [rate.when, volume, least, blocks].filter(Boolean).join("; ") || "always";
}

function table(name, heads, rows) {
  const box = element("div", undefined, "scroll"), made = element("table");
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", name);
  made.createTHead().append(row(heads, "th"));
  made.createTBody().append(...rows.map((cells) => row(cells)));
  box.append(made);
  return box;
}

ownPrices();
show().catch((error) => {
  failed(error);
  if (!address().get("model")) return;
  $("title").textContent = address().get("model");
  $("facts").replaceChildren(`${error.message} `, link("All tariffs", served("/tariffs")));
});
