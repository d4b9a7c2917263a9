// The console: asks the API every few seconds and draws what it says.  No libraries, no build.
"use strict";

const REFRESH_MS = 2000;
const CALLS_SHOWN = 100;
const SERIES_MAX = 6; // colours; the rest is "other"

const $ = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

async function ask(path) {
  const answer = await fetch(path);
  const document = await answer.json();
  if (!answer.ok && path !== "/api/health") throw new Error(document.error || answer.statusText);
  return document;
}

// Money comes as exact decimal text; only what is drawn is rounded, never what is summed up.
function usd(text, digits = 6) {
  if (text === null || text === undefined) return "unknown";
  const number = Number(text);
  if (number === 0) return "$0";
  if (Math.abs(number) >= 1000) return "$" + number.toLocaleString("en", { maximumFractionDigits: 2 });
  return "$" + number.toLocaleString("en", { maximumSignificantDigits: digits });
}

const count = (number) => (number === null || number === undefined ? "–" : Number(number).toLocaleString("en"));

function time(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return us + " µs";
  if (us < 1e6) return Math.round(us / 1000) + " ms";
  return (us / 1e6).toFixed(us < 1e7 ? 2 : 1) + " s";
}

function row(cells) {
  const tr = element("tr");
  for (const [value, className] of cells) {
    const td = element("td", value instanceof Node ? undefined : value, className);
    if (value instanceof Node) td.append(value);
    tr.append(td);
  }
  return tr;
}

function fill(table, rows, columns, empty) {
  const body = table.querySelector("tbody");
  if (!rows.length) {
    const tr = element("tr");
    const td = element("td", empty, "empty");
    td.colSpan = columns;
    tr.append(td);
    rows = [tr];
  }
  body.replaceChildren(...rows);
}

function tiles(total) {
  const shown = [
    ["Spend", usd(total.cost_usd), ""],
    ["Calls", count(total.calls), ""],
    ["Tokens in", count(total.input_tokens_total), ""],
    ["Tokens out", count(total.output_tokens_total), ""],
    ["First token p50", time(total.first_token_p50_us), ""],
    ["Errors", count(total.errors), total.errors ? "warn" : ""],
    ["Price unknown", count(total.unpriced_calls), total.unpriced_calls ? "warn" : ""],
  ];
  $("tiles").replaceChildren(...shown.map(([name, value, mark]) => {
    const tile = element("div", undefined, "tile " + mark);
    tile.append(element("b", value), element("span", name));
    return tile;
  }));
}

function models(rows) {
  fill($("models"), rows.map((r) => row([
    [r.provider], [r.model || "–"],
    [usd(r.cost_usd, 4) + (r.unpriced_calls && r.cost_usd !== null ? " +" : ""), "n" + (r.unpriced_calls ? " doubt" : "")],
    [count(r.calls), "n"], [count(r.input_tokens_total), "n"],
    [count(r.output_tokens_total), "n"], [time(r.first_token_p50_us), "n"],
  ])), 7, "Nothing yet.");
}

function timeline(rows, sinceMs, stepMs) {
  const totals = new Map();
  for (const r of rows) totals.set(r.model, (totals.get(r.model) || 0) + Number(r.cost_usd || 0));
  const ranked = [...totals].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const colour = (name) => Math.min(ranked.indexOf(name), SERIES_MAX);
  const bars = new Map();
  for (const r of rows) {
    const bar = bars.get(r.time) || [];
    bar.push([colour(r.model), Number(r.cost_usd || 0), r.model]);
    bars.set(r.time, bar);
  }
  const svg = $("timeline");
  const [width, height, left, bottom] = [svg.clientWidth || 600, 220, 64, 22];
  const top = Math.max(...[...bars.values()].map((bar) => bar.reduce((sum, b) => sum + b[1], 0)), 0);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [];
  const y = (value) => height - bottom - (top ? (value / top) * (height - bottom - 12) : 0);
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    parts.push(drawn("line", { x1: left, x2: width, y1: at, y2: at }));
    parts.push(drawn("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, usd(top * share, 3)));
  }
  const steps = Math.ceil((Date.now() - sinceMs) / stepMs) + 1;
  const step = (width - left) / steps;
  for (const [at, bar] of bars) {
    const slot = Math.floor((Date.parse(at) - sinceMs) / stepMs) + 1;
    let base = 0;
    for (const [index, value, name] of bar.sort((a, b) => a[0] - b[0])) {
      if (value <= 0) continue;
      const box = drawn("rect", {
        x: left + slot * step + step * 0.1, width: Math.max(step * 0.8, 1),
        y: y(base + value), height: y(base) - y(base + value), class: "c" + index,
      });
      box.append(drawn("title", {}, `${new Date(at).toLocaleString()}\n${name}: ${usd(value)}`));
      parts.push(box);
      base += value;
    }
  }
  for (const share of [0, 0.5, 1]) {
    const at = new Date(sinceMs + share * (Date.now() - sinceMs));
    const label = stepMs < 3600e3 ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      : at.toLocaleDateString([], { month: "short", day: "numeric" }) + " " + at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    parts.push(drawn("text", { x: left + share * (width - left), y: height - 6, "text-anchor": ["start", "middle", "end"][share * 2] }, label));
  }
  svg.replaceChildren(...parts);
  $("legend").replaceChildren(...ranked.slice(0, SERIES_MAX + 1).map((name, index) => {
    const item = element("li", undefined, "c" + index);
    item.append(element("span", index === SERIES_MAX ? "other" : name || "no model"));
    return item;
  }));
}

function outcome(call) {
  const good = call.outcome === "ok";
  return element("span", good ? "ok" : call.error_type || call.outcome, good ? "ok" : "bad");
}

function tags(call) {
  const box = element("span");
  const named = { team: call.team, feature: call.feature, project: call.project, user: call.user_id, ...call.tags };
  for (const [name, value] of Object.entries(named)) if (value) box.append(element("span", `${name} ${value}`, "tag"));
  return box;
}

function cost(call) {
  const mark = { exact: "", not_billed: "", estimated: "≈ ", partial: "≥ ", unpriced: "" }[call.cost_status] ?? "";
  const shown = element("span", mark + usd(call.cost_usd, 4), call.cost_usd === null || mark ? "doubt" : "");
  shown.title = [call.cost_status, ...call.reasons].join("\n");
  return shown;
}

function calls(rows) {
  $("shown").textContent = rows.length ? `${rows.length}, click one for its receipt` : "";
  fill($("calls"), rows.map((call) => {
    const tr = row([
      [new Date(call.ts).toLocaleTimeString()], [call.response_model || call.request_model || call.provider],
      [cost(call), "n"],
      [call.operation + (call.stream ? " · stream" : "")], [outcome(call)],
      [count(call.input_tokens_total), "n"], [count(call.output_tokens_total), "n"],
      [time(call.first_token_us), "n"], [time(call.duration_us), "n"], [tags(call)],
    ]);
    tr.tabIndex = 0;
    tr.dataset.call = call.call_id;
    tr.addEventListener("click", () => receipt(call.call_id));
    tr.addEventListener("keydown", (event) => { if (event.key === "Enter") receipt(call.call_id); });
    return tr;
  }), 10, "No calls yet. Point an SDK at the proxy, or run: taximeter demo");
}

async function receipt(id) {
  const call = await ask("/api/calls/" + id);
  const box = $("receipt");
  const head = element("header");
  const close = element("button", "Close");
  close.addEventListener("click", () => box.close());
  head.append(element("h2", `Receipt · ${call.response_model || call.request_model || call.endpoint}`), close);
  const facts = element("dl");
  const shown = {
    time: call.ts, provider: `${call.provider} (${call.upstream})`, endpoint: call.endpoint,
    outcome: call.outcome + (call.http_status ? ` · ${call.http_status}` : ""),
    "service tier": call.service_tier, usage: call.usage_origin, "cost status": call.cost_status,
    "first token": time(call.first_token_us), duration: time(call.duration_us),
    "our overhead": time(call.overhead_us), tariff: call.tariff, "reported cost": call.reported_usd && usd(call.reported_usd),
    reasons: call.reasons.join(", "), error: call.error_message, call: call.call_id,
  };
  for (const [name, value] of Object.entries(shown)) if (value) facts.append(element("dt", name), element("dd", value));
  const table = element("table");
  const names = element("tr");
  for (const [name, side] of [["Model"], ["Meter"], ["Quantity", "n"], ["Rate", "n"], ["per", "n"], ["Factors"], ["USD", "n"]]) names.append(element("th", name, side));
  const top = element("thead");
  top.append(names);
  const body = element("tbody");
  for (const line of call.lines) {
    const tr = row([
      [line.model], [line.meter], [count(line.quantity), "n"], [line.rate, "n"], [count(line.per), "n"],
      [Object.entries(line.factors).map(([name, value]) => `${name} × ${value}`).join(", ")], [line.usd, "n"],
    ]);
    tr.title = [line.rule, line.source].join("\n");
    body.append(tr);
  }
  const foot = element("tfoot");
  const sum = row([["Total"], [""], [""], [""], [""], [""], [call.cost_usd === null ? "unknown" : call.cost_usd, "n"]]);
  foot.append(sum);
  table.append(top, body, foot);
  const scroll = element("div", undefined, "scroll");
  scroll.append(table);
  box.replaceChildren(head, facts, scroll, content(call.call_id));
  box.showModal();
}

// What was said is asked for when somebody opens it, and is only ever text.
function content(id) {
  const box = element("details", undefined, "content");
  box.append(element("summary", "Content"));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.children.length > 1) return;
    try {
      const said = await ask(`/api/calls/${id}/content`);
      for (const name of ["request", "response", "output"]) {
        if (!said[name]) continue;
        box.append(element("h3", name + (said[name + "_cut"] ? " · something is left out" : "")), element("pre", indented(said[name])));
      }
      const hidden = Object.entries(said.redactions).map(([kind, times]) => `${times} × ${kind}`).join(", ");
      if (hidden) box.append(element("p", `redacted: ${hidden}`, "empty"));
    } catch (error) {
      box.append(element("p", error.message, "empty"));
    }
  });
  return box;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // the text of a model, or one document a line
  }
}

function health(state) {
  const broken = Object.entries(state.parts).filter(([, part]) => !part.ok);
  const text = state.ok ? "all parts work" : broken.map(([name, part]) => `${name}: ${part.error || "not well"}`).join(" · ");
  $("health").textContent = text;
  $("health").className = "health " + (state.ok ? "ok" : "bad");
}

// A screen reader reads what is new: what fires on keeps its place and only its numbers change.
function alerts(firing) {
  const box = $("alerts");
  const titles = firing.map((alert) => [alert.name, ...Object.values(alert.labels)].join(" "));
  const same = [...box.children].map((one) => one.dataset.alert).join() === titles.join();
  if (!same) box.replaceChildren(...firing.map((alert, index) => {
    const one = element("div", undefined, alert.severity);
    one.dataset.alert = titles[index];
    const since = element("small", `since ${new Date(alert.started_at).toLocaleString()}`);
    one.append(element("b", titles[index]), " ", since, element("p"), element("p", alert.action));
    return one;
  }));
  firing.forEach((alert, index) => {
    const summary = box.children[index].querySelector("p");
    if (summary.textContent !== alert.summary) summary.textContent = alert.summary;
  });
}

async function refresh() {
  const [since, step] = $("period").value.split(",");
  const age = { m: 60e3, h: 3600e3, d: 86400e3 }[since.slice(-1)] * Number(since.slice(0, -1));
  try {
    alerts((await ask("/api/alerts")).firing); // first: it knows without the store
    const [state, total, byModel, overTime, newest] = await Promise.all([
      ask("/api/health"), ask(`/api/spend?since=${since}&by=`), ask(`/api/spend?since=${since}`),
      ask(`/api/timeline?since=${since}&step=${step}`), ask(`/api/calls?limit=${CALLS_SHOWN}`),
    ]);
    health(state);
    tiles(total[0] || {});
    models(byModel);
    timeline(overTime, Date.now() - age, Number(step) * 1000);
    calls(newest);
  } catch (error) {
    $("health").textContent = `the console does not answer: ${error.message}`;
    $("health").className = "health bad";
  }
}

async function forever() {
  if (!document.hidden) await refresh();
  setTimeout(forever, REFRESH_MS);
}

$("period").addEventListener("change", refresh);
forever();
