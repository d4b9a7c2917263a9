// Whether Taximeter is well, and the alerts that are firing.

import { $, element } from "./dom.js";

export function health(state) {
  const broken = Object.entries(state.parts).filter(([, part]) => !part.ok);
  const text = broken.map(([name, part]) => `${name}: ${part.error || "failing"}`).join(" · ");
  show(state.ok ? "healthy" : text, state.ok);
}

export const failure = (error) => show(error.message, false);

function show(text, ok) {
  $("health").textContent = text;
  $("health").className = "health " + (ok ? "ok" : "bad");
}

// A screen reader reads what is new: an alert that goes on keeps its place, only its numbers change.
export function alerts(firing) {
  const box = $("alerts");
  const titles = firing.map((alert) => [alert.name, ...Object.values(alert.labels)].join(" "));
  const same = [...box.children].map((one) => one.dataset.alert).join() === titles.join();
  if (!same) box.replaceChildren(...firing.map((alert, index) => banner(alert, titles[index])));
  firing.forEach((alert, index) => {
    const summary = box.children[index].querySelector("p");
    if (summary.textContent !== alert.summary) summary.textContent = alert.summary;
  });
}

function banner(alert, title) {
  const one = element("div", undefined, alert.severity);
  one.dataset.alert = title;
  const since = element("small", `since ${new Date(alert.started_at).toLocaleString()}`);
  one.append(element("b", title), " ", since, element("p"), element("p", alert.action));
  return one;
}
