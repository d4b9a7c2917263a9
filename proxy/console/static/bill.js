// Compares a bill with the calls, and links to exports.  The files go to this machine's Taximeter only.

import { ask } from "./ask.js";
import { $, element, fill, row, served } from "./dom.js";
import { amount } from "./money.js";

const LINES_MAX = 200; // those that differ most; taximeter reconcile --csv has all

const signed = (usd) => (String(usd).startsWith("-") ? amount(usd) : `+${amount(usd)}`);
const percent = (share) => (share === null ? "–" : `${(Number(share) * 100).toFixed(2)} %`);
const size = (usd) => Math.abs(Number(usd));

function lastDay(month) {
  const [year, number] = month.split("-").map(Number);
  return `${month}-${String(new Date(Date.UTC(year, number, 0)).getUTCDate()).padStart(2, "0")}`;
}

async function compared() {
  const month = $("month").value;
  const files = await Promise.all([...$("files").files].map((file) => file.text()));
  const body = JSON.stringify({
    provider: $("provider").value, first_day: `${month}-01`, last_day: lastDay(month), files,
  });
  const { page_token: token } = await ask("/api/session");
  const headers = { "Content-Type": "application/json", "X-Taximeter-Page": token };
  const answer = await fetch(served("/api/reconcile"), { method: "POST", headers, body });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error || answer.statusText);
  return found;
}

function show(found) {
  const missed = found.days.filter(({ explained }) => !explained).length;
  say(missed
    ? `On ${missed} of ${found.days.length} days more than 0.1 % of the bill is unexplained.`
    : "Every day is explained to within 0.1 % of its bill.", missed ? "bad" : "good");
  const causes = Object.entries(found.total.causes).map(([name, usd]) => `${signed(usd)} ${name}`);
  $("causes").replaceChildren(...[...causes, ...found.notes].map((text) => element("li", text)));
  fill($("days"), [...found.days, { day: "all", ...found.total }].map(day), "No days.");
  const lines = found.lines.filter(({ difference_usd: usd }) => Number(usd));
  lines.sort((a, b) => size(b.unexplained_usd) - size(a.unexplained_usd)
    || size(b.difference_usd) - size(a.difference_usd));
  fill($("lines"), lines.slice(0, LINES_MAX).map(line), "Every line agrees.");
  $("days").hidden = $("lines").hidden = false;
}

function day(one) {
  const made = row([
    [one.day], [amount(one.metered_usd), "n"], [amount(one.billed_usd), "n"],
    [signed(one.difference_usd), "n"], [amount(one.unexplained_usd), "n"],
    [percent(one.unexplained_share), "n"],
  ]);
  if (!one.explained) made.className = "missed";
  return made;
}

function line(one) {
  const why = Object.entries(one.causes).map(([name, usd]) => `${signed(usd)} ${name}`);
  return row([
    [one.day], [one.model || "(none)"], [one.item || "all"], [amount(one.metered_usd), "n"],
    [amount(one.billed_usd), "n"], [why.join(", ")], [amount(one.unexplained_usd), "n"],
  ]);
}

function say(text, kind = "") {
  $("verdict").textContent = text;
  $("verdict").className = kind;
}

function link() {
  const month = $("month").value;
  $("focus").href = served(`/api/export/focus?month=${month}&format=csv`);
  $("conversations").href = served(`/api/export/conversations?month=${month}`);
}

$("month").value = new Date().toISOString().slice(0, 7);
$("month").addEventListener("change", link);
$("bill").addEventListener("submit", async (event) => {
  event.preventDefault();
  say("comparing…");
  try {
    show(await compared());
  } catch (error) {
    say(error.message, "bad");
  }
});
link();
