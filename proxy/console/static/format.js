// Numbers as people read them.

export function count(number) {
  return number === null || number === undefined ? "–" : Number(number).toLocaleString("en");
}

// Of millions three digits are enough; `count` has them all.
export function compact(number) {
  const [size, unit] = [[1e12, "T"], [1e9, "B"], [1e6, "M"]].find(([size]) => Number(number) >= size) ?? [];
  return size ? `${(number / size).toPrecision(3)} ${unit}` : count(number);
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
