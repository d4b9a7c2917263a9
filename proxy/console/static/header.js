// What the header of a page says, and the page that asks again and again.

import { $ } from "./dom.js";

export function say(health, text) {
  $("health").className = "health " + health;
  $("health").textContent = text;
}

export const updated = () => say("green", `updated ${new Date().toLocaleTimeString()}`);

export const failed = (error) => say("red", error.message);

// Nobody asks for a page that is not looked at.  `refused` is told of what the work throws.
export async function forever(work, every_ms, refused = failed) {
  if (!document.hidden) await work().catch(refused);
  setTimeout(forever, every_ms, work, every_ms, refused);
}
