// What was said in a call: loaded when somebody opens it, and shown as text only.

import { ask } from "./ask.js";
import { element } from "./dom.js";

export function content(id) {
  const box = element("details", undefined, "content");
  box.append(element("summary", "Content"));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.children.length > 1) return;
    try {
      box.append(...parts(await ask(`/api/calls/${id}/content`)));
    } catch (error) {
      box.append(element("p", error.message, "empty"));
    }
  });
  return box;
}

function parts(said) {
  const shown = ["request", "response", "output"].filter((name) => said[name]).flatMap((name) => [
    element("h3", name + (said[name + "_cut"] ? " · truncated" : "")),
    element("pre", indented(said[name])),
  ]);
  const hidden = Object.entries(said.redactions).map(([kind, times]) => `${times} × ${kind}`);
  return hidden.length ? [...shown, element("p", `redacted: ${hidden.join(", ")}`, "empty")] : shown;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // the text of a model, or one document a line
  }
}
