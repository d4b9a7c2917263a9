// What the results of a run amount to.  Pure: documents in, rows out.
//
// A case with several samples counts once, with its mean, and by its weight.  The interval is Wilson's
// with each cluster as one case: it is the one of the dashboard Quality.

const Z = 1.96; // of 95 %
const JUDGED = new Set(["pass", "fail"]);

const half = (results, hidden) => results.filter((each) => each.hidden === hidden);

// Model → case id → its results.
function grouped(found, hidden) {
  const models = new Map(found.run.models.map((model) => [model, new Map()]));
  for (const each of half(found.results, hidden)) {
    const cases = models.get(each.model) ?? new Map();
    models.set(each.model, cases);
    cases.set(each.case_id, [...(cases.get(each.case_id) ?? []), each]);
  }
  return models;
}

const judged = (results) => results.filter(({ status }) => JUDGED.has(status));
const mean = (results) => results.filter(({ status }) => status === "pass").length / results.length;

// The weighted share of right answers; null without any that is right or wrong.
function share(cases) {
  let right = 0, weight = 0;
  for (const results of cases) {
    const known = judged(results);
    if (!known.length) continue;
    right += known[0].weight * mean(known);
    weight += known[0].weight;
  }
  return weight ? right / weight : null;
}

export function wilson(p, n) {
  if (p === null || !n) return { low: null, high: null };
  const across = 1 + Z ** 2 / n, centre = (p + Z ** 2 / (2 * n)) / across;
  const side = (Z / across) * Math.sqrt((p * (1 - p)) / n + Z ** 2 / (4 * n * n));
  return { low: Math.max(centre - side, 0), high: Math.min(centre + side, 1) };
}

export function scores(found, hidden) {
  const costs = new Map();
  for (const each of found.calls) if (!each.is_judge) costs.set(key(each), each);
  return [...grouped(found, hidden)].map(([model, byCase]) => {
    const cases = [...byCase.values()], all = cases.flat();
    const p = share(cases);
    const told = cases.filter((each) => judged(each).length);
    const clusters = new Set(told.map(([one]) => one.cluster || one.case_id));
    const right = all.filter(({ status }) => status === "pass").length;
    let usd = 0, unknown = 0;
    for (const each of all) {
      const calls = costs.get(key(each)); // exact, and with what was repriced since
      usd += Number((calls ?? each).cost_usd ?? 0);
      unknown += calls ? calls.unknown + calls.partial : Number(each.cost_usd === null);
    }
    const times = all.map(({ duration_us: us }) => us).filter((us) => us !== null);
    return {
      model, share: p, ...wilson(p, clusters.size), cases: told.length,
      cost: right ? usd / right : null, unknown,
      time_us: times.length ? times.reduce((sum, us) => sum + us, 0) / times.length : null,
      lost: all.filter(({ status }) => status === "error").length,
      notRun: all.filter(({ status }) => status === "not_run").length,
    };
  });
}

// [task, model → share], tasks by their names.
export function byTask(found, hidden) {
  const tasks = new Map();
  for (const [model, byCase] of grouped(found, hidden)) {
    const mine = new Map();
    for (const results of byCase.values()) {
      const [{ task }] = results;
      mine.set(task, [...(mine.get(task) ?? []), results]);
    }
    for (const [task, cases] of mine) {
      if (!tasks.has(task)) tasks.set(task, new Map());
      tasks.get(task).set(model, share(cases));
    }
  }
  return [...tasks].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

// Wrong answers by case, each with the last call that made it.
export function failures(found, hidden) {
  const answers = found.calls.filter(({ is_judge: judge }) => !judge);
  const calls = new Map(answers.map((each) => [key(each), each.call_id]));
  return half(found.results, hidden).filter(({ status }) => status === "fail")
    .map((each) => ({ ...each, call: calls.get(key(each)) ?? "" }))
    .toSorted((a, b) => (a.case_id + a.model < b.case_id + b.model ? -1 : 1));
}

const key = ({ model, case_id: id, sample }) => JSON.stringify([model, id, sample]);
