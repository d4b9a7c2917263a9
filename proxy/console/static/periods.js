// Periods that people choose: ages, and those of the calendar, in the zone of whoever looks.

const HOUR_S = 3600, DAY_S = 24 * HOUR_S;
const UNIT_S = { m: 60, h: HOUR_S, d: DAY_S };
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const AGES = [
  ["15m", "last 15 minutes"], ["1h", "last hour"], ["24h", "last 24 hours"], ["7d", "last 7 days"],
  ["30d", "last 30 days"],
];
const CALENDAR = [["today", "today"], ["month", "this month"], ["before", "last month"]];

export const PERIODS = [...AGES, ...CALENDAR]; // value, name

// What the API is asked for: `since`, `until`, `month` and `tz`, "" where there is none.
export function parameters(value) {
  const at = new Date(), first = new Date(at.getFullYear(), at.getMonth() - (value === "before" ? 1 : 0), 1);
  const nothing = { since: "", until: "", month: "", tz: "" };
  if (value === "today") return { ...nothing, since: local(at), tz: ZONE };
  if (["month", "before"].includes(value)) return { ...nothing, month: local(first).slice(0, 7), tz: ZONE };
  return { ...nothing, since: value };
}

// The same as instants in seconds; a month that goes on ends now.  `step` is that of a chart.
export function span(value) {
  const now = Date.now() / 1000, at = new Date();
  const midnight = (months, day) => new Date(at.getFullYear(), at.getMonth() - months, day) / 1000;
  if (value === "today") return { from: midnight(0, at.getDate()), to: now, step: HOUR_S };
  if (value === "month") return { from: midnight(0, 1), to: now, step: DAY_S / 4 };
  if (value === "before") return { from: midnight(1, 1), to: midnight(0, 1), step: DAY_S / 4 };
  const age = UNIT_S[value.at(-1)] * Number(value.slice(0, -1));
  const step = { "15m": 30, "1h": 120, "24h": HOUR_S, "7d": 6 * HOUR_S }[value] ?? DAY_S;
  return { from: now - age, to: now, step };
}

// The equal span before a period, on whole minutes, so that its answer stays the same for one.
export function earlier(value) {
  const { from, to } = span(value), minute = (seconds) => Math.floor(seconds / 60) * 60;
  return { since: minute(2 * from - to), until: minute(from) };
}

const local = (at) =>
  [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
