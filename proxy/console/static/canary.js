// The canary of a route: its arms, what the sequential tests say of it, and what became of it.

import { $, element, fill, row } from "./dom.js";
import { count, duration } from "./format.js";
import { amount } from "./money.js";

const STATES = {
  running: ["no worse so far", "ok"], worse: ["worse", "bad"],
  rolled_back: ["worse, rolled back", "bad"], uneven: ["uneven split", "doubt"],
};
const TESTS = {
  errors: "Errors", slow: "Slow answers", refusals: "Refusals", cost: "Cost of a success",
};

const percent = (share) => (share === null ? "–" : `${Number((100 * share).toFixed(2))} %`);
const dollars = (usd) => (usd === null ? "–" : amount(String(usd)));
const instant = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

// Its state in two words.
export function state(canary) {
  const [text, kind] = canary.judged_at ? STATES[canary.state] : ["not judged yet", "doubt"];
  return element("span", text, kind);
}

// `sums` has the calls of each arm since it began, if they are known.
export function canary(route, sums) {
  const found = route.canary;
  $("canary").hidden = !found;
  if (!found) return;
  $("canary-facts").replaceChildren(state(found), ` · ${facts(found).join(" · ")}`);
  $("canary-words").textContent = `${found.candidate} ${found.words}.`;
  arms(route, sums);
  const needed = count(Math.round(found.evidence_needed));
  $("needed").textContent = `shares of sessions; worse from an evidence of ${needed} on`;
  fill($("tests"), found.findings.map((each) => row([
    [TESTS[each.of], "name"], [element("span", each.worse ? "worse" : "no worse", each.worse ? "bad" : "")],
    ...(each.of === "cost" ? cost(each) : counted(each)),
  ])), "Not compared yet: that needs calls, and the meter looks every 20 s.");
}

function facts(found) {
  return [
    `${found.state === "rolled_back" ? "had" : "has"} ${percent(found.share)} of sessions`,
    found.began_at ? `since ${instant(found.began_at)}` : "has not begun",
    found.ended_at && `${found.state === "rolled_back" ? "rolled back" : "found"} ${instant(found.ended_at)}`,
    found.judged_at && !found.ended_at && `judged ${new Date(found.judged_at).toLocaleTimeString()}`,
    `${percent(found.confidence)} confidence`,
    !found.ended_at && (found.rollback ? "rolled back if it is worse" : "not rolled back by itself"),
  ].filter(Boolean);
}

// The canary's arm first, then those that it is compared with.
function arms(route, sums) {
  const { canary: found } = route, used = new Map(sums.map((each) => [each.arm, each]));
  const split = route.candidates.filter(({ share }) => share !== null);
  const ordered = split.toSorted((a, b) => (b.number === found.number) - (a.number === found.number));
  const others = split.length === 2 ? found.sessions_of_others : undefined;
  fill($("arms"), ordered.map((arm) => {
    const sum = used.get(arm.candidate), own = arm.number === found.number;
    const named = element("span", arm.candidate);
    if (own) named.append(" ", element("small", "canary"));
    return row([
      [named, "name"], [percent(arm.share), "n"],
      [count(own ? found.sessions : others), "n"], [count(sum?.calls ?? 0), "n"],
      [sum ? duration(sum.duration_p95_us) : "–", "n"],
      [sum ? amount(sum.cost_usd, sum.cost_status) : "–", "n"],
    ]);
  }), "No arms.");
}

const counted = (each) => [
  [percent(each.canary), "n"], [percent(each.others), "n"], [rounded(each.evidence), "n"],
];

// Costs are compared by their bounds, which must lie apart.
const cost = (each) => [
  [bounded(each.canary, each.canary_bounds), "n"], [bounded(each.others, each.others_bounds), "n"],
  [each.canary_bounds && each.others_bounds ? "by the bounds" : "too few sessions", "n"],
];

const rounded = (value) => (value >= 1000 ? "over 1,000" : String(Number(value.toPrecision(2))));

function bounded(value, bounds) {
  const shown = element("span", dollars(value));
  if (bounds) shown.append(element("br"), element("small", bounds.map(dollars).join(" to ")));
  return shown;
}
