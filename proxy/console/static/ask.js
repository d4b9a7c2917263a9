// Asks the API.  What it throws can be shown as it is.

import { served } from "./dom.js";

const HEALTH = "/api/health"; // answers 503 with the same document when a part fails
const STORE_AWAY = 503;
const SIGNED_OUT = 401;

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
  const answer = await fetch(served(path), { signal }).catch((error) => {
    const silent = error.name === "TimeoutError";
    const what = silent ? "gives no answer" : "does not respond";
    throw Object.assign(new Error(`Taximeter ${what}. Is it running? Retrying…`), { silent });
  });
  const found = await answer.json();
  if (answer.ok || path === HEALTH) return found;
  if (answer.status === SIGNED_OUT) throw new Error("You are signed out. Reload this page to sign in again.");
  const cause = found.error || answer.statusText;
  const away = answer.status === STORE_AWAY;
  throw new Error(away ? `${cause}. Calls are still being recorded; this page will refresh.` : cause);
}
