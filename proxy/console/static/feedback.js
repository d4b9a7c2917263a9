// What was said about a call, or about the request, trace or session that it is part of.

import { element, row } from "./dom.js";

const COLUMNS = [["Feedback"], ["Value"], ["Success"], ["About"], ["Source"], ["Time"]];
const SUCCESS = new Map([[true, "yes"], [false, "no"]]);

export function feedback(call) {
  if (!call.feedback?.length) return [];
  const table = element("table");
  const body = table.createTBody();
  table.createTHead().append(row(COLUMNS, "th"));
  for (const one of call.feedback) {
    const at = new Date(one.at).toLocaleString();
    body.append(row([
      [one.name], [String(one.value)], [SUCCESS.get(one.success) ?? "not said"], [one.about],
      [one.source || one.actor], [at],
    ]));
  }
  const scroll = element("div", undefined, "scroll");
  scroll.append(table);
  return [scroll];
}
