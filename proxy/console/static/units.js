// Numbers as Grafana's units name them, and as people read them.

import { amount } from "./money.js";

const LARGE = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];
const BYTES = [[1e12, " TB"], [1e9, " GB"], [1e6, " MB"], [1e3, " kB"], [1, " B"]];
const TIMES = [[86400e6, " d"], [3600e6, " h"], [60e6, " min"], [1e6, " s"], [1e3, " ms"], [1, " µs"]];
const MICROSECONDS = { "µs": 1, ms: 1e3, s: 1e6 };

const fixed = (number, decimals) =>
  number.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: 0 });

const digits = (number) => (Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2);

function scaled(number, steps, decimals) {
  const [size, sign] = steps.find(([least]) => Math.abs(number) >= least) ?? steps.at(-1);
  return fixed(number / size, Math.min(decimals ?? 2, digits(number / size))) + sign;
}

// `value` may be exact decimal text; null is `missing`.
export function shown(value, { unit = "none", decimals, noValue } = {}) {
  if (value === null || value === undefined || value === "") return noValue ?? "–";
  const number = Number(value);
  if (Number.isNaN(number)) return String(value);
  if (unit === "currencyUSD") return amount(String(value));
  if (unit === "percentunit") return fixed(number * 100, decimals ?? percent(number * 100)) + " %";
  if (unit === "percent") return fixed(number, decimals ?? percent(number)) + " %";
  if (unit === "decbytes" || unit === "bytes") return scaled(number, BYTES, decimals);
  if (unit in MICROSECONDS) return number ? scaled(number * MICROSECONDS[unit], TIMES, decimals) : "0 s";
  if (unit === "short" && Math.abs(number) >= 1e3) return scaled(number, LARGE, decimals);
  return fixed(number, decimals ?? 2) + (SUFFIX[unit] ?? "");
}

const SUFFIX = { reqps: " /s" };

const percent = (number) => (number && Math.abs(number) < 10 ? 1 : 0);

// For an axis: as short as can be.
export function tick(value, settings) {
  const plain = !settings.unit || settings.unit === "locale" || settings.unit === "none";
  return shown(value, { ...settings, unit: plain ? "short" : settings.unit, decimals: undefined });
}
