// The console: asks the API every few seconds and draws what it answers.  No libraries, no build.

import { ask } from "./ask.js";
import { budgets } from "./budgets.js";
import { COLUMNS, calls } from "./calls.js";
import { $ } from "./dom.js";
import { forever } from "./header.js";
import { PERIODS, earlier, parameters, span } from "./periods.js";
import { alerts, drawn, failure, health } from "./state.js";
import { timeline } from "./timeline.js";
import { models, tiles } from "./totals.js";
import { unpriced } from "./unpriced.js";

const REFRESH_MS = 2000; // of the header
const FIGURES_MS = 10e3; // an open page costs less than 100 kB a minute
const LOOK_MS = 2800; // the API itself says amber after two seconds; together below five
const CALLS_SHOWN = 50;
const USUAL = "1h"; // of the periods

let latest = 0; // a slow answer must not overwrite that of a period chosen since

async function refresh() {
  const chosen = $("period").value, over = span(chosen), mine = ++latest;
  const given = Object.entries(parameters(chosen)).filter(([, value]) => value);
  const period = new URLSearchParams(given), past = new URLSearchParams({ ...earlier(chosen), by: "" });
  budgets(await ask("/api/budgets")); // they are known without the store
  const [found, before, overTime, newest, hints] = await Promise.all([
    ask(`/api/report?${period}`), ask(`/api/report?${past}`),
    ask(`/api/timeline?${period}&step=${over.step}`),
    ask(`/api/calls?limit=${CALLS_SHOWN}&columns=${COLUMNS}`),
    ask(`/api/unpriced?${period}`),
  ]);
  if (mine !== latest) return;
  tiles(found.total, before.total);
  models(found.rows);
  timeline(overTime, over.from * 1000, over.step * 1000, over.to * 1000);
  calls(newest);
  unpriced(hints);
  drawn();
}

// Apart from the figures, which hang with the store: the header must not hang with them.
async function look() {
  alerts((await ask("/api/alerts", LOOK_MS)).firing); // first: it knows without the store
  health(await ask("/api/health", LOOK_MS));
}

let trouble; // the last error of the figures, until they are drawn again
const figures = () => refresh().then(() => (trouble = undefined));
const kept = (error) => (trouble = error);

const option = ([value, text]) => new Option(text, value, value === USUAL, value === USUAL);
$("period").replaceChildren(...PERIODS.map(option));
$("period").addEventListener("change", () => figures().catch(kept));
forever(figures, FIGURES_MS, kept);
// Figures that cannot be had are told once the look is over: it says more.
forever(() => look().then(() => trouble && failure(trouble)), REFRESH_MS, failure);
