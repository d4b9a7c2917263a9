// Asks the API.  What it throws can be shown as it is.

import { served } from "./dom.js";

const HEALTH = "/api/health"; // answers 503 with the same document when a part fails
const STORE_AWAY = 503;
const SIGNED_OUT = 401;
const UNCHANGED = 304;
const KNOWN_MAX = 60; // answers
const known = new Map(); // path → the last answer and its tag: what has not changed is not sent again

// Changes something, with the token of this page.
export async function change(method, path, body) {
  const { page_token: token } = await ask("/api/session");
  const answer = await fetch(served(path), {
    method, body: body && JSON.stringify(body),
    headers: { "X-Taximeter-Page": token, "content-type": "application/json" },
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// With `within_ms` a silent process is an error with `silent` set, not a page that waits with it.
export async function ask(path, within_ms) {
  const signal = within_ms ? AbortSignal.timeout(within_ms) : undefined;
  const before = known.get(path);
  const headers = before ? { "If-None-Match": before.tag } : {};
  const answer = await fetch(served(path), { signal, headers }).catch((error) => {
    const silent = error.name === "TimeoutError";
    const what = silent ? "gives no answer" : "does not respond";
    throw Object.assign(new Error(`Taximeter ${what}. Is it running? Retrying…`), { silent });
  });
  if (answer.status === UNCHANGED) return structuredClone(before.found);
  const found = await answer.json();
  if (answer.ok) learnt(path, answer.headers.get("ETag"), found);
  if (answer.ok || path === HEALTH) return found;
  if (answer.status === SIGNED_OUT) throw new Error("You are signed out. Reload this page to sign in again.");
  const cause = found.error || answer.statusText;
  const away = answer.status === STORE_AWAY;
  throw new Error(away ? `${cause}. Calls are still being recorded; this page will refresh.` : cause);
}

function learnt(path, tag, found) {
  known.delete(path);
  if (!tag) return;
  if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value);
  known.set(path, { tag, found: structuredClone(found) });
}
