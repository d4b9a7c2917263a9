// Numbers as people read them.

// Money comes as exact decimal text; only what is drawn is rounded, never what is summed up.
export function usd(text, digits = 6) {
  if (text === null || text === undefined) return "unknown";
  const number = Number(text);
  if (number === 0) return "$0";
  const large = Math.abs(number) >= 1000;
  const rounding = large ? { maximumFractionDigits: 2 } : { maximumSignificantDigits: digits };
  return "$" + number.toLocaleString("en", rounding);
}

export function count(number) {
  return number === null || number === undefined ? "–" : Number(number).toLocaleString("en");
}

export function duration(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return us + " µs";
  if (us < 1e6) return Math.round(us / 1000) + " ms";
  return (us / 1e6).toFixed(us < 1e7 ? 2 : 1) + " s";
}

export function clock(date, { dated = false } = {}) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const day = date.toLocaleDateString([], { month: "short", day: "numeric" });
  return dated ? `${day} ${time}` : time;
}

// The marks of a sum that is not exact: an estimate, or a lower bound.
const MARKS = { estimated: "≈ ", partial: "≥ " };

export const mark = (status) => MARKS[status] ?? "";
