// The gateway's routes; which is open is in the address.

import { address } from "./address.js";
import { ask } from "./ask.js";
import { canary, state as fares } from "./canary.js";
import { $, element, fill, link, row, served } from "./dom.js";
import { count, duration } from "./format.js";
import { forever, updated } from "./header.js";
import { amount } from "./money.js";

const REFRESH_MS = 5e3;
const SINCE = "24h";
const TIMES = ["first_token_s", "first_token_p95_s", "total_s", "total_p95_s"];
const WORDS = { open: "ok", full: "doubt", half_open: "doubt", closed: "bad" }; // state of a pool → class
const MEANT = { full: "no room left", half_open: "probing", closed: "closed", open: "open" };

let drawn = ""; // nothing moves under somebody who reads it

async function refresh() {
  const name = address().get("name");
  const by = new URLSearchParams({ since: SINCE, by: name ? "candidate" : "route" });
  if (name) by.set("route", name);
  const [routes, sums] = await Promise.all([
    ask(`/api/routes${name ? `?${new URLSearchParams({ name })}` : ""}`), ask(`/api/report?${by}`),
  ]);
  const arms = name && routes.length ? await armed(routes[0]) : [];
  updated();
  const now = JSON.stringify([routes, sums.rows, arms]);
  if (now === drawn) return;
  drawn = now;
  $("none").hidden = Boolean(routes.length);
  $("one").hidden = !name || !routes.length;
  $("all").hidden = Boolean(name) || !routes.length;
  name && routes.length ? one(routes[0], sums.rows, arms) : list(routes, sums.rows);
}

// What the arms of a canary served since it began.
async function armed({ route, version, canary: found }) {
  if (!found) return [];
  const by = new URLSearchParams({ since: found.began_at ?? SINCE, by: "arm", route });
  if (version) by.set("route_version", version);
  return (await ask(`/api/report?${by}`)).rows;
}

function list(routes, sums) {
  const used = new Map(sums.map((each) => [each.route, each]));
  fill($("routes"), routes.map((route) => row([
    [link(route.route, served(`/routes?${new URLSearchParams({ name: route.route })}`)), "name"],
    [state(route)], [route.canary ? fares(route.canary) : "–"],
    ...spent(used.get(route.route)), [route.order],
    [route.candidates.map((each) => each.candidate).join(", "), "why"],
  ])), "No routes.");
}

const spent = (sum) => [
  [count(sum?.calls ?? 0), "n"], [sum ? amount(sum.cost_usd, sum.cost_status) : "–", "n"],
];

// A candidate that fails or whose keys are all closed is passed over.
function trouble(one) {
  if (one.failing) return "half of its calls fail";
  if (!one.pools.length) return "no key";
  return one.pools.every((pool) => pool.state === "closed") ? "rate limits closed" : "";
}

function state(route) {
  const bad = route.candidates.filter(trouble).length;
  if (!bad) return element("span", "open", "ok");
  const all = route.candidates.length;
  if (bad === all) return element("span", "no candidate can serve", "bad");
  return element("span", `${bad} of ${all} passed over`, "doubt");
}

const pairs = (each) => Object.entries(each).map(([key, value]) => `${key} ${value}`);

function one(route, sums, arms) {
  document.title = `${route.route} · Routes · Taximeter`;
  $("title").textContent = route.route;
  const calls = new URLSearchParams({ route: route.route, since: SINCE });
  const said = [
    `order ${route.order}`, route.version && `version ${route.version}`,
    route.explore && `${percent(route.explore)} explore at random`,
    `deadline ${count(route.deadline_s)} s`,
    route.retry_ambiguous && "retries calls that may have been billed",
    route.regions.length && `regions ${route.regions.join(", ")}`,
    route.data_policy.length && `data policy ${route.data_policy.join(", ")}`,
    route.drop.length && `may drop ${route.drop.join(", ")}`,
    ...(route.order === "score" ? [`score ${pairs(route.score).join(", ")}`] : []),
  ];
  const links = [link("Its calls", served(`/calls?${calls}`)), " · ", link("All routes", served("/routes"))];
  $("facts").replaceChildren(`${said.filter(Boolean).join(" · ")} · `, ...links);
  candidates(route, sums);
  canary(route, arms);
  measured(route);
  const pools = route.candidates.flatMap((each) => each.pools.map((pool) => limits(each, pool)));
  fill($("pools"), pools, "No keys: nothing can be called.");
}

function candidates(route, sums) {
  const used = new Map(sums.map((each) => [each.candidate, each]));
  const all = sums.reduce((sum, each) => sum + each.calls, 0);
  fill($("candidates"), route.candidates.map((each) => {
    const sum = used.get(each.candidate), why = trouble(each);
    const [calls, cost] = spent(sum);
    return row([
      [each.candidate, "name"], [element("span", why || "open", why ? "bad" : "ok")], calls,
      [all ? percent((sum?.calls ?? 0) / all) : "–", "n"], [percent(each.share), "n"], cost,
      [each.when ? element("code", each.when) : "always", "why"],
    ]);
  }), "No candidates.");
}

function measured(route) {
  const at = route.candidates.map((each) => each.measured_at).filter(Boolean).sort().at(-1);
  const stale = route.candidates.some((each) => each.stale) ? "; stale, so the listed order decides" : "";
  $("as-of").textContent = at ? `over 5 minutes, as of ${new Date(at).toLocaleTimeString()}${stale}` : "";
  fill($("measured"), route.candidates.flatMap((each) => each.measured.map((figures) => row([
    [each.candidate, "name"], [sizes(figures)],
    [count(figures.calls), "n"], [percent(figures.error_share), "n"],
    ...TIMES.map((name) => [seconds(figures[name]), "n"]),
  ]))), "No calls in the last five minutes: a candidate nobody called is taken to be like the others.");
}

function limits(each, pool) {
  const left = `${count(pool.requests_left)} at ${new Date(pool.told_at).toLocaleTimeString()}`;
  return row([
    [each.candidate, "name"], [element("span", MEANT[pool.state], WORDS[pool.state])],
    [pool.opens_at ? new Date(pool.opens_at).toLocaleTimeString() : "–"],
    [pool.told_at ? left : "not told", "n"],
    [pool.key], [pool.limits],
  ]);
}

function sizes({ tokens_from: from, tokens_below: below }) {
  if (from === null) return "any";
  if (below === null) return `${count(from)} or more`;
  return from ? `${count(from)}–${count(below)}` : `below ${count(below)}`;
}

const rounded = (share) => Number((100 * share).toFixed(share < 0.1 ? 1 : 0));
const percent = (share) => (share === null ? "–" : `${rounded(share)} %`);
const seconds = (value) => (value === null ? "–" : duration(Math.round(value * 1e6)));

forever(refresh, REFRESH_MS);
