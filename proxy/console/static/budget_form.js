// Makes a budget, changes one that was made here or by API, or removes it.

import { change } from "./ask.js";
import { $, served } from "./dom.js";

const PERIODS = ["month", "day", "week", "hour", "quarter", "year", "rolling 24h", "total"];
const ACTIONS = ["alert", "shadow", "block", "throttle"];
const UNITS = ["usd", "tokens", "calls"];

let open; // the name of the budget in the form, and what PUT takes for it; undefined: a new one
let filled = false;
let done = () => {};

// `shown` has `name` and `definition` of the budget that the page shows, if it may be changed.  A form
// that somebody is in stays as it is.
export function editing(shown, after) {
  done = after;
  const same = filled && open?.name === shown?.name;
  if (same || $("form").contains(document.activeElement)) return;
  [open, filled] = [shown, true];
  $("edited").textContent = open ? `Change ${open.name}, or make another` : "New budget";
  $("remove").hidden = !open;
  const { elements } = $("form"), now = open?.definition ?? {};
  const unit = UNITS.find((each) => (now[`limit_${each}`] ?? null) !== null) ?? "usd";
  const pairs = Object.entries(now.scope ?? {});
  elements.name.value = open?.name ?? "";
  elements.scope.value = pairs.map(([key, value]) => `${key}=${value}`).join(", ");
  elements.limit.value = now[`limit_${unit}`] ?? "";
  elements.unit.value = unit;
  elements.period.value = now.period ?? "month";
  elements.timezone.value = now.timezone ?? (Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  elements.action.value = now.action ?? "alert";
}

function wanted() {
  const { elements } = $("form"), unit = elements.unit.value, limit = elements.limit.value.trim();
  const pairs = elements.scope.value.split(",").map((each) => each.trim()).filter(Boolean);
  const scope = Object.fromEntries(pairs.map((each) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(each) ?? [];
    if (!name) throw new Error(`${each} is not NAME=VALUE, such as team=search or user=*`);
    return [name.trim(), value.trim()];
  }));
  // What the form has no field for stays as it is.
  const kept = open?.name === elements.name.value ? { ...open.definition } : {};
  for (const each of UNITS) delete kept[`limit_${each}`];
  return {
    ...kept, scope, [`limit_${unit}`]: unit === "usd" ? limit : Number(limit),
    period: elements.period.value, timezone: elements.timezone.value.trim(),
    action: elements.action.value,
  };
}

const send = (method, name, body) => change(method, `/api/budgets/${encodeURIComponent(name)}`, body);

async function told(work) {
  try {
    $("answer").className = "ok";
    $("answer").textContent = await work();
    document.activeElement?.blur();
    done();
  } catch (error) {
    $("answer").className = "bad";
    $("answer").textContent = error.message;
  }
}

for (const [name, options] of [["period", PERIODS], ["action", ACTIONS]]) {
  $("form").elements[name].replaceChildren(...options.map((each) => new Option(each)));
}
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  told(async () => {
    const { value: name } = $("form").elements.name;
    const { warnings } = await send("PUT", name, wanted());
    history.pushState(null, "", served(`/budgets?${new URLSearchParams({ name })}`));
    return ["Saved.", ...warnings].join(" ");
  });
});
$("remove").addEventListener("click", () => told(async () => {
  await send("DELETE", open.name);
  history.pushState(null, "", served("/budgets"));
  return "Removed.";
}));
