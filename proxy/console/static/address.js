// The address of the list of calls: the question of the API, word for word, and what the page adds.

export const OWN = ["call", "before", "before_id"]; // of the page, not of the question about all calls
export const PERIOD = ["since", "until", "month", "tz"];
export const SINCE = "24h"; // without a period: of the list and of its totals

export const address = () => new URLSearchParams(location.search);

export const written = (parameters) => (parameters.size ? `?${parameters}` : location.pathname);

// What is asked of all calls, whichever page of them is shown.
export function question() {
  const asked = address();
  for (const name of OWN) asked.delete(name);
  if (!["since", "until", "month"].some((name) => asked.has(name))) asked.set("since", SINCE);
  return asked;
}

// The address with one filter more, from the first page on.
export function narrowed(name, value) {
  const to = address();
  for (const own of OWN) to.delete(own);
  to.append(name, value);
  return written(to);
}

// The filters of the address, each with the address without it.
export function filters() {
  const all = [...address()].filter(([name]) => !OWN.includes(name));
  return all.filter(([name]) => !PERIOD.includes(name)).map(([name, value]) => {
    const others = all.filter(([key, text]) => key !== name || text !== value);
    return { name, value, without: written(new URLSearchParams(others)) };
  });
}

// The same address with these parameters changed; "" takes one away.
export function changed(change, { paged = false } = {}) {
  const to = address();
  if (!paged) for (const name of OWN) to.delete(name);
  for (const [name, value] of Object.entries(change)) value ? to.set(name, value) : to.delete(name);
  return written(to);
}
