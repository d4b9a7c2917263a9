// How Taximeter is, as of when, and the alerts that are firing.

import { $, element } from "./dom.js";
import { say } from "./header.js";

const WORDS = { green: "healthy", amber: "works, with warnings", red: "a critical alert is firing" };
const heard = { at: new Date(), drawn: undefined }; // when the API last answered; the figures' time

export function health(state) {
  heard.at = new Date(state.as_of);
  const broken = Object.entries(state.parts).filter(([, part]) => !part.ok);
  const why = broken.map(([name, part]) => `${name}: ${part.error || "failing"}`);
  show(state.health, why.join(" · ") || WORDS[state.health]);
}

// The figures below are those of now; without a call to this they grow old, which the header says.
export function drawn() {
  heard.drawn = new Date();
}

export const failure = (error) => show(error.silent ? "amber" : "red", error.message);

function show(health, text) {
  const stale = health !== "green" ? ` · as of ${clock(heard.at)}` : "";
  const figures = heard.drawn && heard.drawn < heard.at - 10e3 ? `, figures as of ${clock(heard.drawn)}` : "";
  say(health, text + stale + figures);
}

const clock = (time) => time.toLocaleTimeString();

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
