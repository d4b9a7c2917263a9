// The user's own price files: read, changed, and saved if all tariffs load with them.

import { ask, change } from "./ask.js";
import { $, element } from "./dom.js";

const PATH = "/api/prices";
const NONE = "None is configured yet: set tariffs = \"prices\" under [metering], and restart.";
const form = $("file");
let digests = new Map(); // of the files as they were read

async function read() {
  const { directory, files } = await ask(PATH);
  $("directory").textContent = directory ? `Yours is ${directory}.` : NONE;
  form.hidden = !directory;
  digests = new Map(files.map(({ name, digest }) => [name, digest]));
  $("files").replaceChildren(...files.map((file) => {
    const open = element("button", file.name, "plain");
    open.type = "button";
    open.addEventListener("click", () => {
      form.elements.name.value = file.name;
      form.elements.text.value = file.text;
      say("", "");
      form.elements.text.focus();
    });
    return open;
  }));
}

function say(kind, text) {
  $("answer").className = kind;
  $("answer").textContent = text;
}

async function save() {
  const { name, text } = form.elements, replaces = digests.get(name.value) ?? "";
  const body = { text: text.value, replaces };
  const saved = await change("PUT", `${PATH}/${encodeURIComponent(name.value)}`, body);
  await read();
  say("ok", saved.next);
}

// Once, when somebody wants to see them.
export function ownPrices() {
  const failed = (error) => say("bad", error.message);
  $("own").addEventListener("toggle", () => read().catch(failed), { once: true });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save().catch(failed);
  });
}
