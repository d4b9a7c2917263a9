"""What keyboards, fingers and screen readers need of a page: kinds of mistakes that we made before.

`python -m trials.accessible` asks axe-core, which knows many more, and takes minutes.
"""

from selenium import webdriver

# WCAG 2.2: 2.1.1, 2.5.8, 1.1.1 and 1.3.1; landmarks: https://www.w3.org/WAI/ARIA/apg/practices/
MISTAKES = """
const shown = (e) => e.checkVisibility() && e.getClientRects().length;
const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
const name = (e) => e.getAttribute("aria-label")
  ?? document.getElementById(e.getAttribute("aria-labelledby"))?.textContent ?? "";
const found = [], wrong = (why, e) => found.push(`${why}: ${e.outerHTML.slice(0, 160)}`);
for (const e of all("body *")) {
  const style = getComputedStyle(e), scrolls = (way) => /auto|scroll/.test(style["overflow" + way]);
  const hidden = (scrolls("X") && e.scrollWidth > e.clientWidth + 13)
    || (scrolls("Y") && e.scrollHeight > e.clientHeight + 13);
  const inside = "a, button, input, select, summary, [tabindex]";
  if (hidden && e.tabIndex < 0 && !e.querySelector(inside)) wrong("scrolls without keys", e);
}
const named = "section[aria-label], section[aria-labelledby], form[aria-label], [role=region]";
const landmarks = all(`nav, ${named}`);
const seen = new Set();
for (const e of landmarks) {
  const role = e.getAttribute("role") ?? e.localName.replace("section", "region");
  const key = `${role} ${name(e)}`.toLowerCase();
  if (seen.has(key)) wrong("two landmarks of one name", e);
  seen.add(key);
}
for (const e of all("summary, button")) {
  const { width, height } = e.getBoundingClientRect();
  if (e.matches(".more summary") && (width < 24 || height < 24)) wrong("small target", e);
}
if (innerWidth <= 600) for (const e of all("#calls td a")) {
  if (e.getBoundingClientRect().height < 24) wrong("small target", e);
}
for (const e of all("th")) if (!e.textContent.trim()) wrong("heading without words", e);
for (const e of all("svg[role=img], [tabindex='0']")) {
  const says = name(e) || (!e.matches("svg") && e.textContent.trim());
  if (!says) wrong("no name", e);
}
return found;
"""


def mistakes(page: webdriver.Chrome) -> list[str]:
    """Each mistake of the page as it is drawn now, with the element that has it."""
    return list(page.execute_script(MISTAKES))
