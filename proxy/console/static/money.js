// Money as people read it: an amount with how far to trust it.  The rules of pricing/money.py.
//
// `≥` marks a lower bound, `≈` an estimate, and an unknown amount is a word, never $0.00.

import { count } from "./format.js";

const UNKNOWN = "unknown";
const MARKS = { estimated: "≈ ", partial: "≥ " };
const SIGNIFICANT = 3; // digits shown of less than a dollar
const PLACES_MAX = 12; // an amount that is smaller is written with an exponent

export const certain = (status) => !(status in MARKS) && status !== "unpriced";

// Exact decimal text and a cost status; only what is drawn is rounded, a lower bound never up.
// `whole` shows every digit, as receipts do.
export function amount(usd, status = "exact", { whole = false } = {}) {
  const mark = MARKS[status] ?? "";
  const missing = usd === null || usd === undefined || status === "unpriced";
  if (missing || (status === "partial" && !Number(usd))) return UNKNOWN;
  const text = String(usd);
  const sign = text.startsWith("-") ? "-" : "";
  const digits = text.replace("-", "");
  return `${mark}${sign}$${whole ? digits : rounded(digits, status === "partial")}`;
}

// An amount, and the calls that are not in it.
export function money(usd, status = "exact", unknown = 0) {
  const text = amount(usd, status);
  if (!unknown) return text;
  const calls = `${count(unknown)} call${unknown === 1 ? "" : "s"}`;
  return `${text} (${calls}${text === UNKNOWN ? "" : " unknown"})`;
}

// How many calls of a sum are not exact, by kind.
export function doubts({ unpriced_calls: unknown, partial_calls: partial, inexact_calls: inexact }) {
  const kinds = [[unknown, "unknown"], [partial, "lower bound"], [inexact - partial, "estimated"]];
  const found = kinds.filter(([number]) => number > 0);
  return found.map(([number, kind]) => `${count(number)} ${kind}`).join(", ");
}

function rounded(text, down) {
  const number = Number(text);
  const places = number ? Math.max(2, SIGNIFICANT - 1 - exponent(number)) : 2;
  if (places > PLACES_MAX) return number.toExponential(2);
  const roundingMode = down ? "trunc" : "halfEven";
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: places };
  // From the text: a number would have been rounded already.
  return new Intl.NumberFormat("en", { roundingMode, ...digits }).format(text);
}

const exponent = (number) => Number(number.toExponential().split("e")[1]);
