// The console: asks the API every few seconds and draws what it answers.  No libraries, no build.

import { ask } from "./ask.js";
import { budgets } from "./budgets.js";
import { calls } from "./calls.js";
import { $ } from "./dom.js";
import { forever } from "./header.js";
import { alerts, drawn, failure, health } from "./state.js";
import { timeline } from "./timeline.js";
import { models, tiles } from "./totals.js";
import { unpriced } from "./unpriced.js";

const REFRESH_MS = 2000;
const LOOK_MS = 2800; // the API itself says amber after two seconds; together below five
const CALLS_SHOWN = 100;
const UNIT_MS = { m: 60e3, h: 3600e3, d: 86400e3 };

let latest = 0; // a slow answer must not overwrite that of a period chosen since

async function refresh() {
  const [since, step] = $("period").value.split(",");
  const age = UNIT_MS[since.slice(-1)] * Number(since.slice(0, -1));
  const mine = ++latest;
  const [total, byModel, overTime, newest, hints] = await Promise.all([
    ask(`/api/spend?since=${since}&by=`), ask(`/api/spend?since=${since}`),
    ask(`/api/timeline?since=${since}&step=${step}`), ask(`/api/calls?limit=${CALLS_SHOWN}`),
    ask(`/api/unpriced?since=${since}`),
  ]);
  if (mine !== latest) return;
  tiles(total[0] || {});
  models(byModel);
  timeline(overTime, Date.now() - age, Number(step) * 1000);
  calls(newest);
  unpriced(hints);
  drawn();
}

// Apart from the figures, which hang with the store: the header must not hang with them.
async function look() {
  alerts((await ask("/api/alerts", LOOK_MS)).firing); // first: it knows without the store
  budgets(await ask("/api/budgets", LOOK_MS));
  health(await ask("/api/health", LOOK_MS));
}

let trouble; // the last error of the figures, until they are drawn again
const figures = () => refresh().then(() => (trouble = undefined));
const kept = (error) => (trouble = error);

$("period").addEventListener("change", () => figures().catch(kept));
forever(figures, REFRESH_MS, kept);
// Figures that cannot be had are told once the look is over: it says more.
forever(() => look().then(() => trouble && failure(trouble)), REFRESH_MS, failure);
