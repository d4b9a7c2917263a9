// Runs of suites: how often models were right, at what cost, and which cases they failed.
// Which run is open, and which half of it, is in the address.

import { address, written } from "./address.js";
import { ask } from "./ask.js";
import { $, drawn, element, fill, link, row, served } from "./dom.js";
import { count, duration } from "./format.js";
import { failed, forever, updated } from "./header.js";
import { amount } from "./money.js";
import { receipt } from "./receipt.js";
import { byTask, failures, scores } from "./scores.js";

const REFRESH_MS = 15e3;
const FAILURES_MAX = 200, RUNS_MAX = 100;
const HIDDEN = "hidden"; // of `half`
const FIRST = "taximeter eval run starter --models openai/gpt-5.4-mini";
const EMPTY = "No answers in this half.";

const href = (change) => {
  const to = address();
  for (const [name, value] of Object.entries(change)) value ? to.set(name, value) : to.delete(name);
  return written(to);
};
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

let shown = ""; // what is drawn: nothing moves under somebody who reads it

async function refresh() {
  const all = await ask("/api/evaluations"), suite = address().get("suite");
  const listed = suite ? all.filter((each) => each.suite === suite) : all;
  const id = address().get("run") || listed[0]?.run_id;
  const found = id ? await ask(`/api/evaluations/${encodeURIComponent(id)}`) : undefined;
  updated();
  const now = JSON.stringify([listed, found]);
  if (now === shown) return;
  shown = now;
  runs(listed, all, id);
  $("run").hidden = !found;
  if (found) run(found);
}

function runs(listed, all, id) {
  const more = listed.length > RUNS_MAX ? `the newest ${RUNS_MAX} of ${count(listed.length)}` : "";
  const only = address().get("suite");
  const every = link("show all suites", href({ suite: "", run: "" }));
  $("listed").replaceChildren(more, ...(only ? [` of ${only}; `, every] : []));
  fill($("runs"), listed.slice(0, RUNS_MAX).map((each) => {
    const tr = row([
      [new Date(each.ts).toLocaleString()], [link(each.suite, href({ suite: each.suite, run: "" }))],
      [each.models.join(", "), "why"], [state(each)], [count(each.cases), "n"], [count(each.samples), "n"],
      [each.judge], [link(each.run_id, href({ run: each.run_id }))],
    ]);
    if (each.run_id === id) tr.setAttribute("aria-current", "true");
    return tr;
  }), all.length ? "No run of this suite." : `No runs yet. Begin with: ${FIRST}`);
}

function state(each) {
  const word = each.origin === "judge" ? `judge check, ${each.state}` : each.state;
  return element("span", word, each.state === "finished" || each.state === "imported" ? "ok" : "doubt");
}

function run(found) {
  const { run: about } = found, hidden = address().get("half") === HIDDEN;
  document.title = `${about.suite} · Evaluations · Taximeter`;
  $("run-title").textContent = `${about.suite}, ${new Date(about.ts).toLocaleString()}`;
  const json = link("JSON", served(`/api/evaluations/${encodeURIComponent(about.run_id)}`));
  const version = `version ${about.suite_version}`;
  $("run-facts").replaceChildren(`run ${about.run_id} · ${version} · ${about.state} · `, json);
  const rated = scores(found, hidden);
  fill($("scores"), rated.map(score), EMPTY);
  halves(about, hidden);
  const models = about.models;
  $("tasks").tHead.rows[0].replaceChildren(...["Task", ...models].map((name, at) => {
    const cell = element("th", name, at ? "n" : "");
    cell.scope = "col";
    return cell;
  }));
  fill($("tasks"), byTask(found, hidden).map(([task, shares]) =>
    row([[task], ...models.map((model) => [percent(shares.get(model) ?? null), "n"])])), EMPTY);
  const failed = failures(found, hidden);
  const cut = failed.length > FAILURES_MAX;
  $("failed").textContent = cut ? `the first ${FAILURES_MAX} of ${count(failed.length)}` : "";
  fill($("failures"), failed.slice(0, FAILURES_MAX).map(failure), "No wrong answers.");
}

function score(one) {
  const cost = one.cost === null ? "–" : amount(String(one.cost), one.unknown ? "partial" : "exact");
  const bounds = element("span");
  bounds.append(interval(one), `${percent(one.low)} to ${percent(one.high)}`);
  return row([
    [one.model, "name"], [percent(one.share), "n"], [one.share === null ? "–" : bounds],
    [count(one.cases), "n"], [cost, "n"], [duration(one.time_us), "n"],
    [count(one.lost), "n"], [count(one.notRun), "n"],
  ]);
}

// The share as a dot and its interval as a line, from 0 to 1.
function interval({ share, low, high }) {
  const box = { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" };
  const svg = drawn("svg", { class: "span", ...box });
  const line = (from, to, kind) => drawn("line", { x1: 100 * from, x2: 100 * to, y1: 5, y2: 5, ...kind });
  svg.append(line(0, 1, {}), line(low, high, { class: "whisker" }));
  svg.append(drawn("circle", { cx: 100 * share, cy: 5, r: 2.4 }));
  return svg;
}

function halves(about, hidden) {
  const note = "Each cluster of cases counts as one, so these intervals are rather too wide;"
    + ` the exact ones: taximeter eval report ${about.run_id}${hidden ? " --hidden" : ""}.`;
  const other = about.hidden_cases
    ? [` This is the ${hidden ? "hidden" : "open"} half of the suite. `,
      link(hidden ? "Show the open half" : "Show the hidden half", href({ half: hidden ? "" : HIDDEN })),
      hidden ? "" : ": rarely, or prompts get tuned to it."]
    : [];
  $("halves").replaceChildren(note, ...other);
}

function failure(one) {
  const open = element("button", one.call.slice(-8), "plain");
  open.type = "button";
  open.setAttribute("aria-label", `Receipt of call ${one.call}`);
  open.addEventListener("click", () => receipt(one.call).catch(failed));
  return row([
    [one.case_id], [one.task], [one.model, "name"], [one.reason, "why"], [one.call ? open : "–"],
  ]);
}

forever(refresh, REFRESH_MS);
