// A panel: its card, what it shows while it waits or has nothing, and its twin table.

import { ask } from "./ask.js";
import { linked } from "./choices.js";
import { element, reachable, served } from "./dom.js";
import { xychart } from "./points.js";
import { barchart, gauge, piechart, stat, text } from "./shapes.js";
import { table } from "./tables.js";
import { heatmap, timeseries } from "./timeseries.js";

const DRAWN = { stat, gauge, barchart, piechart, xychart, text, timeseries, heatmap, table };
const ROW_PX = 34; // of Grafana's grid
const SCROLLING = ".scroll, :scope > .legend, .bars";

export class Panel {
  constructor(board, document) {
    this.board = board;
    this.document = document;
    this.asTable = document.type === "table";
    this.card = element("section", undefined, `panel ${document.type}`);
    this.body = element("div", undefined, "body");
    const { x, y, w, h } = document.gridPos;
    this.card.style.gridColumn = `${x + 1} / span ${w}`;
    this.card.style.gridRow = `${y + 1} / span ${h}`;
    this.card.style.setProperty("--h", `${h * ROW_PX}px`);
    this.card.setAttribute("aria-labelledby", `title-${document.id}`);
    const title = element("h2", document.title);
    title.id = `title-${document.id}`;
    title.title = document.description ?? "";
    const head = element("header");
    head.append(title, this.more());
    this.card.append(head, this.body);
    this.body.append(element("p", "loading…", "empty"));
  }

  // What it means, its table and its CSV file.
  more() {
    const box = element("details", undefined, "more"), inside = element("div");
    const summary = element("summary", "⋯");
    summary.setAttribute("aria-label", `More about ${this.document.title}`);
    box.append(summary, inside);
    if (this.document.description) inside.append(element("p", this.document.description));
    if (this.document.type === "text") return box;
    if (this.document.type !== "table") {
      const twin = Object.assign(element("button", "Show as table"), { type: "button" });
      twin.addEventListener("click", () => {
        this.asTable = !this.asTable;
        twin.textContent = this.asTable ? "Show as chart" : "Show as table";
        box.open = false;
        this.draw();
      });
      inside.append(twin);
    }
    this.file = element("a", "CSV");
    inside.append(this.file);
    this.links = (this.document.links ?? []).map(({ title, url }) => ({ made: element("a", title), url }));
    inside.append(...this.links.map(({ made }) => made));
    return box;
  }

  get path() {
    return `/api/dashboards/${this.board.uid}/panels/${this.document.id}`;
  }

  // Asks again and draws what is new.  Throws what `ask` throws, after showing it.
  async refresh(parameters, context) {
    this.context = context;
    if (this.document.type === "text") return this.draw();
    this.file.href = served(`${this.path}?${parameters}&format=csv`);
    for (const { made, url } of this.links) made.href = linked(url);
    const mine = (this.latest = parameters.toString());
    this.card.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(`${this.path}?${parameters}`);
      if (mine !== this.latest) return;
      const now = JSON.stringify(answer);
      this.card.classList.remove("old");
      // Nothing moves under somebody who reads it point by point, or sorts it.
      if (now === this.drawn || this.body.querySelector(":focus")) return;
      this.answer = answer;
      this.drawn = now;
      this.draw();
    } catch (error) {
      if (mine === this.latest) this.fail(error);
      throw error;
    } finally {
      this.card.removeAttribute("aria-busy");
    }
  }

  fail(error) {
    if (this.answer) return this.card.classList.add("old"); // what was there, dimmed
    this.drawn = undefined;
    this.body.replaceChildren(element("p", error.message, "empty"));
  }

  draw() {
    const { document, answer, body, context } = this;
    if (document.type !== "text" && !answer) return;
    body.className = "body";
    body.replaceChildren();
    if (document.type !== "text" && answer.targets.every(({ rows }) => !rows.length)) {
      body.append(element("p", document.fieldConfig.defaults.noValue ?? "No calls in this range.", "empty"));
      return;
    }
    const draw = this.asTable ? table : DRAWN[document.type];
    if (!draw) throw new Error(`a panel of type ${document.type}`);
    draw(body, document, answer, context.zone, context.choose);
    for (const box of body.querySelectorAll(SCROLLING)) reachable(box, document.title);
  }
}
