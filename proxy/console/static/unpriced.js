// Models without a price: the command that adds it, and similar names that have one.

import { $, element } from "./dom.js";
import { count } from "./format.js";

export function unpriced(hints) {
  $("unpriced").replaceChildren(...hints.map(({ provider, model, calls, command, near }) => {
    const what = `${provider}/${model} has no price (${count(calls)} calls). To add it: `;
    const box = element("p", what, "doubt");
    box.append(element("code", command));
    if (near.length) box.append(element("small", ` Similar names with a price: ${near.join(", ")}`));
    return box;
  }));
}
