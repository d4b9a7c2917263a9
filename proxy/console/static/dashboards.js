// A dashboard: the panels of one file of grafana/, each drawn from what the API answers.

import { ask } from "./ask.js";
import { address, asked, choices, chosen, elsewhere } from "./choices.js";
import { $, element, served } from "./dom.js";
import { failed, forever, say } from "./header.js";
import { Panel } from "./panels.js";
import { instant } from "./scales.js";

const REFRESH_MS = 30e3;
const SETTLE_MS = 150; // after the window's last change of size

const uid = decodeURIComponent(location.pathname.slice(served("/dashboards/").length));
let board, panels = [];

async function start() {
  const all = await ask("/api/dashboards");
  const shownTitle = (title) => title.replace(/^Taximeter: ?/, "");
  $("boards").replaceChildren(...all.map((each) => {
    const link = element("a", shownTitle(each.title));
    link.href = served(`/dashboards/${each.uid}${uid ? range() : ""}`);
    link.title = each.description;
    if (each.uid === uid) link.setAttribute("aria-current", "page");
    return link;
  }));
  if (!uid) return overview(all);
  board = await ask(`/api/dashboards/${encodeURIComponent(uid)}`);
  document.title = `${shownTitle(board.title)} · Taximeter`;
  $("about").textContent = board.description;
  panels = board.panels.toSorted(({ gridPos: a }, { gridPos: b }) => a.y - b.y || a.x - b.x)
    .map((each) => new Panel(board, each));
  $("panels").replaceChildren(...panels.map(({ card }) => card));
  await Promise.all([refresh(), choices($("choices"), board, refresh)]);
}

// The range goes along to other dashboards; their variables may be others.
function range() {
  const kept = new URLSearchParams([...address()].filter(([name]) => ["from", "to", "tz"].includes(name)));
  return kept.size ? `?${kept}` : "";
}

function overview(all) {
  $("choices").hidden = true;
  $("health").textContent = "";
  $("about").textContent = "What your calls cost, how they went, and what was used.";
  $("panels").className = "cards";
  $("panels").replaceChildren(...all.map((each) => {
    const card = element("a", undefined, "card");
    card.href = served(`/dashboards/${each.uid}`);
    card.append(element("h2", each.title.replace(/^Taximeter: ?/, "")), element("p", each.description));
    return card;
  }));
}

async function refresh() {
  const parameters = asked(board), zone = chosen(board).tz;
  const names = new Set(board.variables.map(({ name }) => name));
  const choose = (column, value) => (names.has(column) && value && value !== "(none)"
    ? elsewhere({ [`var-${column}`]: value }) : "");
  const done = await Promise.allSettled(panels.map((each) => each.refresh(parameters, { zone, choose })));
  const wrong = done.find(({ status }) => status === "rejected");
  const now = instant(Math.floor(Date.now() / 1000) * 1000, zone);
  say(wrong ? "red" : "green", wrong ? wrong.reason.message : `updated ${now}`);
  for (const link of $("boards").children) link.search = range();
}

const again = async () => board && (await refresh());
let settling;
addEventListener("resize", () => {
  clearTimeout(settling);
  settling = setTimeout(() => panels.forEach((each) => each.draw()), SETTLE_MS);
});
start().catch(failed).then(() => setTimeout(forever, REFRESH_MS, again, REFRESH_MS));
