// Scales and ticks: of values, and of time in a zone.

const SECOND = 1e3, MINUTE = 60e3, HOUR = 3600e3, DAY = 86400e3;
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR), ...[1, 2, 7, 14, 30, 91].map((n) => n * DAY),
];

export const linear = (low, high, from, to) => (value) =>
  from + (high === low ? 0 : (value - low) / (high - low)) * (to - from);

// Round values from `low` to at least `high`, about `count` of them, `least` apart or more.
export function ticks(low, high, count, least = 0) {
  if (!(high > low)) high = low + 1;
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 2.5, 5, 10].map((n) => n * power).find((each) => each >= rough * 0.999);
  const step = Math.max(round, least);
  const first = Math.floor(low / step), last = Math.ceil(high / step - 1e-9);
  const nth = (index) => Number(((first + index) * step).toPrecision(12));
  return Array.from({ length: last - first + 1 }, (_, index) => nth(index));
}

// Times at round hours or days of the zone, about `count` of them.
export function timeTicks(from, to, count, zone) {
  const step = STEPS.find((each) => each >= (to - from) / count) ?? STEPS.at(-1);
  const found = [];
  let local = Math.ceil((from + offset(from, zone)) / step) * step;
  for (; local - offset(local - offset(local, zone), zone) <= to; local += step) {
    const at = local - offset(local - offset(local, zone), zone);
    if (at >= from) found.push(at);
  }
  const text = step >= DAY ? { month: "short", day: "numeric" }
    : { hour: "2-digit", minute: "2-digit", ...(step < MINUTE && { second: "2-digit" }) };
  const write = formatter(zone, text), day = formatter(zone, { month: "short", day: "numeric" });
  const midnight = (at) => step < DAY && (at + offset(at, zone)) % DAY === 0;
  return found.map((at) => ({ at, text: midnight(at) ? day.format(at) : write.format(at) }));
}

const formatters = new Map();

function formatter(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formatters.has(key)) {
    formatters.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }));
  }
  return formatters.get(key);
}

const UNITS = ["year", "month", "day", "hour", "minute", "second"];
const PARTS = Object.fromEntries(UNITS.map((unit) => [unit, "numeric"]));

// How far the zone is ahead of UTC at an instant, in milliseconds.
function offset(at, zone) {
  if (zone === "UTC") return 0;
  const parts = formatter(zone, PARTS).formatToParts(at).map(({ type, value }) => [type, Number(value)]);
  const part = Object.fromEntries(parts);
  const local = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
  return local - Math.floor(at / SECOND) * SECOND;
}

// An instant for people, to the second where it has seconds.
export function instant(at, zone) {
  const minutes = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return formatter(zone, at % MINUTE ? { ...minutes, second: "2-digit" } : minutes).format(at);
}
