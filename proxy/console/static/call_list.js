// The list of calls: by everything that calls can be asked by, page by page.  Period, filters, page and
// open receipt are in the address, so a view can be sent.

import { PERIOD, SINCE, address, changed, filters, narrowed, question, written } from "./address.js";
import { ask } from "./ask.js";
import { COLUMNS, list, listedIds } from "./call_rows.js";
import { $, element, served } from "./dom.js";
import { say } from "./header.js";
import { PERIODS, parameters } from "./periods.js";
import { receipt } from "./receipt.js";
import { tiles } from "./totals.js";

const REFRESH_MS = 5e3;
const ROWS = 50; // of a page
const FILE_ROWS = 10_000;
const NAMES = [
  "provider", "model", "project", "environment", "team", "feature", "user", "session", "key", "client",
  "operation", "outcome", "error_type", "finish_reason", "cost_status", "reason", "service_tier", "stream",
  "route", "node", "tag.NAME", ...PERIOD,
];

let paused = false, wrong = false, updated, asking, opened;

async function refresh() {
  const pages = address(), asked = question(), totals = question();
  totals.set("by", "");
  for (const name of ["before", "before_id"]) if (pages.get(name)) asked.set(name, pages.get(name));
  asked.set("columns", COLUMNS);
  asked.set("limit", ROWS + 1); // one more says whether there is another page
  const mine = (asking = asked.toString());
  const [found, { total, notes }] = await Promise.all([
    ask(`/api/calls?${asked}`), ask(`/api/report?${totals}`),
  ]);
  if (mine !== asking) return;
  tiles(total);
  list(found.slice(0, ROWS), (call) => go(changed({ call }, { paged: true })));
  chosen(notes);
  paging(found, pages);
  [updated, wrong] = [Date.now(), false];
  said();
  await shown(pages.get("call"));
}

function go(to) {
  history.pushState(null, "", to);
  refresh().catch(failed);
}

// The receipt that the address names, with the calls before and after it in the list.
async function shown(id) {
  if (!id) return $("receipt").close();
  if (id === opened) return;
  opened = id;
  const ids = listedIds(), at = ids.indexOf(id);
  const to = (call) => call && (() => go(changed({ call }, { paged: true })));
  await receipt(id, { newer: to(ids[at - 1]), older: at < 0 ? undefined : to(ids[at + 1]) });
}

function paging(found, pages) {
  const link = (text, href) => Object.assign(element("a", text), { href }), links = [];
  if (pages.has("before")) links.push(link("Newest", changed({})));
  if (found.length > ROWS) {
    const { ts: before, call_id: id } = found[ROWS - 1];
    links.push(link("Older", changed({ before, before_id: id })));
  }
  $("pages").replaceChildren(...links);
  $("files").replaceChildren(...["csv", "json"].map((format) => {
    const asked = question();
    asked.set("limit", FILE_ROWS);
    asked.set("format", format);
    return link(format.toUpperCase(), served(`/api/calls?${asked}`));
  }));
}

// Each filter with what takes it away, then what the answer itself has to say.
function chosen(notes) {
  const chips = filters().map(({ name, value, without }) => {
    const word = name.endsWith("!") ? `${name.slice(0, -1)} ≠` : `${name} =`;
    const chip = element("span", `${word} ${value || "(none)"} `, "tag");
    const away = Object.assign(element("a", "×"), { href: without });
    away.setAttribute("aria-label", `Take away ${word} ${value}`);
    chip.append(away);
    return chip;
  });
  $("chosen").replaceChildren(...chips, ...notes.map((note) => element("span", note, "doubt")));
  periods();
}

function periods() {
  const given = address(), custom = PERIOD.slice(0, 3).filter((name) => given.has(name));
  const said = custom.map((name) => `${name} ${given.get(name)}`).join(", ");
  const now = said || `since ${SINCE}`;
  const means = (asked) => PERIOD.every((name) => (given.get(name) ?? "") === asked[name]);
  const known = said ? PERIODS.find(([value]) => means(parameters(value)))?.[0] : SINCE;
  const options = known ? PERIODS : [["", now], ...PERIODS];
  if ($("period").value === (known ?? "") && $("period").options.length === options.length) return;
  const option = ([age, text]) => new Option(text, age, false, age === (known ?? ""));
  $("period").replaceChildren(...options.map(option));
}

function said() {
  if (wrong || !updated) return;
  const seconds = Math.round((Date.now() - updated) / 1000);
  const ago = seconds < 2 ? "now" : `${seconds} s ago`;
  say(paused ? "amber" : "green", `${paused ? "paused · " : ""}updated ${ago}`);
}

function failed(error) {
  wrong = true;
  say("red", error.message);
}

// Only the first page changes by itself, and nothing while somebody reads a receipt.
async function forever() {
  const still = paused || document.hidden || address().has("before") || $("receipt").open;
  if (!still) await refresh().catch(failed);
  setTimeout(forever, REFRESH_MS);
}

$("names").replaceChildren(...NAMES.map((name) => new Option(`${name}=`)));
periods();
$("period").addEventListener("change", () => {
  if ($("period").value) go(changed(parameters($("period").value)));
});
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  const [, name, value] = /^([^=]+)=(.*)$/s.exec($("filter").value.trim()) ?? [];
  if (!name) return failed(new Error("A filter is NAME=VALUE, such as team=search or outcome!=ok."));
  $("filter").value = "";
  const plain = name.trim(), text = value.trim();
  const against = { month: { since: "", until: "" }, since: { month: "" }, until: { month: "" } }[plain];
  go(PERIOD.includes(plain) ? changed({ ...against, [plain]: text }) : narrowed(plain, text));
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (paused) said();
  else refresh().catch(failed);
});
$("receipt").addEventListener("close", () => {
  opened = undefined;
  const to = address();
  to.delete("call");
  history.replaceState(null, "", written(to));
});
addEventListener("popstate", () => refresh().catch(failed));
setInterval(said, 1000);
refresh().catch(failed).then(() => setTimeout(forever, REFRESH_MS));
