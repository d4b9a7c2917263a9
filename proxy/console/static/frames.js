// What a panel's answer holds: fields, and series made of them as Grafana makes them.

export const SERIES_MAX = 12; // colours; more are one, called "other"
const OTHER = "other";

// A field has a name, a kind (time, number or text) and values; times are milliseconds since 1970.
export function fields(target) {
  return target.columns.map(({ name, type }, index) => {
    const kind = /Date/.test(type) ? "time" : /Int|Float|Decimal/.test(type) ? "number" : "text";
    const values = target.rows.map((row) => row[index]);
    return { name, kind, values: kind === "time" ? values.map((each) => Date.parse(each)) : values };
  });
}

export const isNumber = ({ kind }) => kind === "number";
export const words = (all) => all.find(({ kind }) => kind === "text");

// The settings of a field: the panel's, with what its overrides say about one of these names.
export function settings(panel, ...names) {
  const { defaults, overrides = [] } = panel.fieldConfig;
  const found = { ...defaults };
  for (const { matcher, properties } of overrides) {
    const means = (name) => (matcher.id === "byName" ? matcher.options === name
      : matcher.id === "byRegexp" && new RegExp(matcher.options.replace(/^\/|\/$/g, "")).test(name));
    if (names.some(means)) for (const { id, value } of properties) found[id] = value;
  }
  return found;
}

// Series by their labels, the largest first: `name`, `settings`, and `at`, a map of values by time.
export function series(panel, answer) {
  const made = new Map();
  for (const target of answer.targets) {
    const [time, ...others] = fields(target);
    const label = others.find(({ kind }) => kind === "text");
    for (const field of others.filter(({ kind }) => kind === "number")) {
      field.values.forEach((value, index) => {
        const named = label && String(label.values[index]);
        const name = named ?? settings(panel, field.name).displayName ?? field.name;
        if (!made.has(name)) {
          made.set(name, { name, settings: settings(panel, field.name, name), at: new Map() });
        }
        made.get(name).at.set(time.values[index], value === null ? null : Number(value));
      });
    }
  }
  return [...made.values()];
}

export const total = ({ at }) => [...at.values()].reduce((sum, value) => sum + (value ?? 0), 0);

// At most SERIES_MAX, the largest; of sums the rest is one series, of others `left` says how many.
export function few(all, adds) {
  if (all.length <= SERIES_MAX) return { kept: all, left: 0 };
  const ranked = all.toSorted((a, b) => total(b) - total(a));
  const kept = ranked.slice(0, SERIES_MAX), rest = ranked.slice(SERIES_MAX);
  if (!adds) return { kept, left: rest.length };
  const at = new Map();
  for (const [time, value] of rest.flatMap((each) => [...each.at])) {
    at.set(time, (at.get(time) ?? 0) + (value ?? 0));
  }
  return { kept: [...kept, { name: OTHER, settings: rest[0].settings, at }], left: 0 };
}

// A colour for each name, by the name itself: in every panel it is the same unless two collide.
export function colours(names) {
  const taken = new Map();
  for (const name of names.toSorted()) {
    if (name === OTHER) continue;
    let index = hash(name) % SERIES_MAX;
    while ([...taken.values()].includes(index) && taken.size < SERIES_MAX) index = (index + 1) % SERIES_MAX;
    taken.set(name, index);
  }
  return (name) => (taken.has(name) ? `k${taken.get(name)}` : "kother");
}

function hash(text) {
  let sum = 2166136261; // FNV-1a
  for (const sign of text) sum = Math.imul(sum ^ sign.codePointAt(0), 16777619);
  return sum >>> 0;
}

// The class of a value by the panel's thresholds.
export function threshold(value, { thresholds }) {
  const steps = thresholds?.steps ?? [];
  const reached = steps.filter((step) => step.value === null || value >= step.value).at(-1);
  return { orange: "doubt", yellow: "doubt", red: "bad" }[reached?.color] ?? "";
}
