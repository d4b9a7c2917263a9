// Asks the API.  What it throws can be shown as it is.

const HEALTH = "/api/health"; // answers 503 with the same document when a part fails
const STORE_AWAY = 503;

export async function ask(path) {
  const answer = await fetch(path).catch(() => {
    throw new Error("Taximeter does not respond. Is it running? Retrying…");
  });
  const found = await answer.json();
  if (answer.ok || path === HEALTH) return found;
  const cause = found.error || answer.statusText;
  const away = answer.status === STORE_AWAY;
  throw new Error(away ? `${cause}. Calls are still being recorded; this page will refresh.` : cause);
}
