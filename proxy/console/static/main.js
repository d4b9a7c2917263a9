// The console: asks the API every few seconds and draws what it answers.  No libraries, no build.

import { ask } from "./ask.js";
import { budgets } from "./budgets.js";
import { calls } from "./calls.js";
import { $ } from "./dom.js";
import { alerts, failure, health } from "./state.js";
import { timeline } from "./timeline.js";
import { models, tiles } from "./totals.js";
import { unpriced } from "./unpriced.js";

const REFRESH_MS = 2000;
const CALLS_SHOWN = 100;
const UNIT_MS = { m: 60e3, h: 3600e3, d: 86400e3 };

let latest = 0; // a slow answer must not overwrite that of a period chosen since

async function refresh() {
  const [since, step] = $("period").value.split(",");
  const age = UNIT_MS[since.slice(-1)] * Number(since.slice(0, -1));
  const mine = ++latest;
  try {
    alerts((await ask("/api/alerts")).firing); // first: these are known without the store
    budgets(await ask("/api/budgets"));
    const [state, total, byModel, overTime, newest, hints] = await Promise.all([
      ask("/api/health"), ask(`/api/spend?since=${since}&by=`), ask(`/api/spend?since=${since}`),
      ask(`/api/timeline?since=${since}&step=${step}`), ask(`/api/calls?limit=${CALLS_SHOWN}`),
      ask(`/api/unpriced?since=${since}`),
    ]);
    if (mine !== latest) return;
    health(state);
    tiles(total[0] || {});
    models(byModel);
    timeline(overTime, Date.now() - age, Number(step) * 1000);
    calls(newest);
    unpriced(hints);
  } catch (error) {
    if (mine === latest) failure(error);
  }
}

async function forever() {
  if (!document.hidden) await refresh();
  setTimeout(forever, REFRESH_MS);
}

$("period").addEventListener("change", refresh);
forever();
