// The timeline's chart. The server sends what fits of the range that is looked at; here it is coloured, labelled, kept in
// range and drawn at most four times a second. Runs that are still open grow in between as plain elements over the chart.
/* global Plotly */

import { coloured, onThemeChange } from "./tokens.js";

const LEAST_PAUSE = 250;
const LOOK_AFTER = 80; // keys that follow each other faster are one question
const MOST_LABELS = 60;
const MOST_WIDTHS = 5000;
const MOST_OPEN = 20;
const REHEARSALS = 3;
const FOLLOWED_SECONDS = 20;
const LEAST_SPAN = 0.01;
const ink = document.createElement("canvas").getContext("2d");
const CONFIG = { displayModeBar: false, plotlyServerURL: "", scrollZoom: false, doubleClick: false, responsive: true };
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const NARROW = matchMedia("(max-width: 700px)");
const SHORT_NAMES = { "Tools, authoritative": "Tools", "would have run": "would run" };
const SHIFT = { l: 78, r: 6 }; // margins under 700 px

const widths = new Map();

function pixels(text) {
  if (!widths.has(text)) {
    if (widths.size > MOST_WIDTHS) widths.clear();
    ink.font = "12px system-ui, sans-serif";
    widths.set(text, ink.measureText(text).width);
  }
  return widths.get(text);
}

const spoken = (label) => (label ?? "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

/** A range out of an address; null where there is none that makes sense. */
export function rangeOf(from, to) {
  const range = [Number.parseFloat(from), Number.parseFloat(to)];
  return range.every(Number.isFinite) && range[1] - range[0] >= LEAST_SPAN ? range : null;
}

export class TimelineChart {
  /** `onLook`: what is looked at has changed so that the server has more to show. `onMerged(count)`: bars drawn as one. */
  constructor(frame, { onPick, onRange, onLook = () => {}, onMerged = () => {} }) {
    this.frame = frame;
    this.plot = frame.querySelector(".chart");
    this.open = frame.querySelector(".open-bars");
    this.labels = frame.querySelector(".bar-labels");
    Object.assign(this, { onPick, onRange, onLook, onMerged });
    this.range = null; // null: everything
    this.follow = false;
    this.links = true;
    this.picked = "";
    this.isFrozen = false;
    this.drawnAt = 0;
    this.drawings = 0;
    this.shown = []; // what is drawn, but for the range
    this.themes = 0;
    this.moves = 0; // our own, that Plotly has not told of yet
    this.clock = { seconds: 0, at: performance.now() };
    this.elements = new Map();
    onThemeChange(() => { this.themes++; this.draw(); });
    NARROW.addEventListener("change", () => this.draw());
    frame.addEventListener("pointerdown", () => { this.isHeld = true; });
    addEventListener("pointerup", () => { this.isHeld = false; });
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.beat();
  }

  /** Seconds since the session's start, by the server's clock; standing still while paused. */
  now() {
    if (!this.live) return this.figure?.end ?? 0;
    return this.isFrozen ? this.clock.seconds : this.clock.seconds + (performance.now() - this.clock.at) / 1000;
  }

  setClock(seconds) { this.clock = { seconds, at: performance.now() }; }

  freeze(isFrozen) { this.setClock(this.now()); this.isFrozen = isFrozen; }

  /** `isAsked`: the reader waits for it. */
  show(figure, isAsked = false) {
    this.figure = figure;
    this.live = figure.live;
    this.onMerged(figure.merged);
    this.setAxis(figure.axis);
    if (isAsked && !this.isHeld) this.drawSoon(); else this.ask();
  }

  setAxis(seconds) {
    if (seconds === this.axis) return;
    this.axis = seconds;
    if (!this.range) this.ask();
  }

  ask() {
    if (this.waiting) return;
    this.waiting = setTimeout(() => { this.waiting = null; this.isHeld ? this.ask() : this.draw(); },
      Math.max(0, this.drawnAt + LEAST_PAUSE - performance.now()));
  }

  /** Everything: the same axis as the two bars above have. */
  whole() {
    return [0, Math.max(this.axis, this.live ? this.now() * 1.02 : 0)];
  }

  visible() {
    if (this.follow && this.live) {
      const span = this.range ? this.range[1] - this.range[0] : FOLLOWED_SECONDS;
      return [this.now() - span * 0.9, this.now() + span * 0.1];
    }
    return this.range ?? this.whole();
  }

  /** The range to ask the server for; null for everything. */
  looked() { return this.range || (this.follow && this.live) ? this.visible() : null; }

  /** Whether the server knows more of what is visible than it has sent. */
  lacksDetail() {
    const [from, to] = this.visible(), span = to - from;
    const [low, high] = [this.figure.view?.[0] ?? -Infinity, this.figure.view?.[1] ?? Infinity];
    if (from < low - span * 0.01 || (to > high + span * 0.01 && high < this.now())) return true;
    if (!this.figure.merged) return false;
    const sent = Math.min(high, this.now()) - Math.max(low, 0);
    return span < (this.lookedSpan ?? this.axis) * 0.8 || span < sent / 4;
  }

  lookAgain() {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => {
      if (!this.figure || !this.lacksDetail()) return;
      const [from, to] = this.visible();
      this.lookedSpan = to - from;
      this.onLook();
    }, LOOK_AFTER);
  }

  /** Where the range alone has changed, Plotly need not read the data again: that is the half of its work. */
  draw(isAnew = false) {
    if (!this.figure || !window.Plotly) return;
    cancelAnimationFrame(this.framed);
    this.framed = null;
    const shown = [this.figure, this.picked, this.links, this.themes, NARROW.matches];
    if (isAnew || shown.some((each, k) => each !== this.shown[k])) this.drawData(); else this.drawRange();
    this.shown = shown;
    this.drawnAt = performance.now();
    if (!this.isBound) this.bind();
    if (this.drawings++ < REHEARSALS) this.rehearse();
    this.label();
    this.grow();
    if (this.follow) this.lookAgain();
  }

  drawRange() {
    this.moves++; // Plotly tells of a move a moment later
    Plotly.relayout(this.plot, { "xaxis.range": this.visible() }).then(() => { this.moves--; });
  }

  drawData() {
    const drawn = this.figure.data.filter((trace) => trace.x.length); // Plotly looks at empty ones as long as at others
    const { data, layout } = coloured({ data: drawn, layout: this.figure.layout });
    layout.margin = { ...layout.margin, l: NARROW.matches ? SHIFT.l : layout.margin.l, r: NARROW.matches ? SHIFT.r : layout.margin.r };
    if (NARROW.matches) layout.yaxis.ticktext = layout.yaxis.ticktext.map((name) => SHORT_NAMES[name] ?? name.replace("Speculative", "Spec.").replace(/,.*/, ""));
    layout.xaxis.range = this.visible();
    this.mark(data);
    Plotly.react(this.plot, data, layout, CONFIG);
  }

  /** Redraws while nobody waits: the first times take twice as long, since the browser still compiles what it runs. */
  rehearse() { (window.requestIdleCallback ?? setTimeout)(() => { if (!this.isHeld) this.draw(this.drawings % 2 === 0); }); }

  /**
   * The longest label that fits, else the shorter, else the mark alone, else none. Wider bars first, sixty at most.
   * Elements over the chart: Plotly lays each text out by itself, which takes a third of a redraw.
   */
  label() {
    const { scale, row, from, to } = this.place(this.labels);
    const wanted = [];
    for (const trace of this.plot.data) {
      if (trace.type !== "bar") continue;
      trace.customdata.forEach(([, long, short], k) => {
        const start = Math.max(trace.base[k], from), room = (Math.min(trace.base[k] + trace.x[k], to) - start) * scale - 10;
        const text = room > 0 ? [long, short, (long ?? "").split(" ")[0]].map(spoken).find((each) => each && pixels(each) <= room) : "";
        if (text) wanted.push({ text, room, left: (start - from) * scale, top: (trace.y[k] - trace.width[k] / 2) * row, height: trace.width[k] * row, color: trace.meta });
      });
    }
    wanted.sort((one, other) => other.room - one.room);
    const shown = wanted.slice(0, MOST_LABELS);
    while (this.labels.childElementCount > shown.length) this.labels.lastChild.remove();
    while (this.labels.childElementCount < shown.length) this.labels.append(document.createElement("span"));
    shown.forEach(({ text, left, top, height, color }, k) => {
      const span = this.labels.children[k];
      if (span.textContent !== text) span.textContent = text;
      Object.assign(span.style, { transform: `translate(${left}px, ${top}px)`, height: `${height}px`, color });
    });
  }

  /** Lays it over the chart's inside. Pixels a second and a row, and what range is seen. */
  place(over) {
    const size = this.plot._fullLayout._size, [from, to] = this.plot._fullLayout.xaxis.range;
    Object.assign(over.style, { left: `${size.l}px`, top: `${size.t}px`, width: `${size.w}px`, height: `${size.h}px` });
    return { from, to, scale: size.w / (to - from), row: size.h / this.figure.rows };
  }

  /** What is selected has a thick outline, and its links stand out. */
  mark(data) {
    const [outline] = coloured(["var(--text)"]);
    const links = { x: [], y: [] };
    for (const trace of data) {
      if (trace.name.startsWith("links-")) {
        trace.visible = this.links;
        trace.customdata.forEach((pick, k) => { if (this.picked && pick === this.picked) { links.x.push(trace.x[k]); links.y.push(trace.y[k]); } });
      }
      if (trace.type !== "bar" || !this.picked || !trace.customdata.some(([pick]) => pick === this.picked)) continue;
      trace.marker.line = {
        color: trace.customdata.map(([pick]) => (pick === this.picked ? outline : trace.marker.line.color)),
        width: trace.customdata.map(([pick]) => (pick === this.picked ? 2.5 : 1)),
      };
    }
    if (links.x.length) data.push({ type: "scatter", mode: "lines", name: "picked", ...links, line: { color: outline, width: 2 }, hoverinfo: "skip" });
  }

  bind() {
    this.isBound = true;
    this.plot.on("plotly_click", (event) => this.clicked(event.points[0]));
    this.plot.on("plotly_relayouting", () => { this.label(); this.grow(); });
    this.plot.on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
      const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
      if (from !== undefined && to !== undefined && !this.moves) this.setRange([from, to]);
    });
  }

  /** A bar is selected; one that stands for many is opened. */
  clicked(point) {
    const [pick, , , , count] = point?.customdata ?? [];
    if (pick) this.onPick(pick);
    else if (count > 1) {
      const [from, span] = [point.data.base[point.pointIndex], point.data.x[point.pointIndex]];
      this.setRange([from - span * 0.05, from + span * 1.05]);
    }
  }

  pick(pick) {
    if (pick === this.picked) return;
    const isDrawn = this.holds(pick) || this.holds(this.picked);
    this.picked = pick;
    if (isDrawn) this.drawSoon();
  }

  /** Whether anything in the chart belongs to it; bars that stand for many belong to none. */
  holds(pick) {
    return Boolean(pick) && (this.figure?.data.some((trace) => trace.customdata?.some((one) => one === pick || one[0] === pick)) || this.figure?.open.some((bar) => bar.pick === pick));
  }

  /** Moves along, without another zoom, until the moment is in sight. */
  reveal(seconds) {
    const [from, to] = this.visible();
    if (seconds >= from && seconds <= to) return;
    const span = to - from, start = Math.max(0, seconds - span / 2);
    this.setRange([start, start + span]);
  }

  setRange(range) {
    if (range[1] - range[0] < LEAST_SPAN) return;
    this.range = range;
    this.follow = false;
    this.changed();
  }

  fit() { this.range = null; this.follow = false; this.changed(); }

  toggleFollow() { this.follow = !this.follow; this.changed(); return this.follow; }

  changed() {
    this.onRange(this.range, this.follow);
    if (!this.figure) return;
    this.draw();
    this.lookAgain();
  }

  /** In the next frame, however often it is asked for until then. */
  drawSoon() { this.framed ??= requestAnimationFrame(() => this.draw()); }

  toggleLinks() { this.links = !this.links; this.draw(); return this.links; }

  zoom(factor, middle) {
    if (!this.figure) return;
    const [from, to] = this.visible();
    const centre = middle ?? (from + to) / 2;
    const range = [centre - (centre - from) * factor, centre + (to - centre) * factor];
    if (range[0] <= 0 && range[1] >= this.whole()[1]) this.fit(); else this.setRange(range);
  }

  pan(share) {
    if (!this.figure) return;
    const [from, to] = this.visible();
    const step = (to - from) * share;
    this.setRange([from + step, to + step]);
  }

  /** Plain wheel scrolls the page; with Ctrl it zooms about the pointer. */
  wheel(event) {
    if (!event.ctrlKey || !this.plot._fullLayout) return;
    event.preventDefault();
    const { l, w } = this.plot._fullLayout._size;
    const [from, to] = this.visible();
    const at = from + ((event.clientX - this.plot.getBoundingClientRect().left - l) / w) * (to - from);
    this.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, at);
  }

  /** Open runs, placed from margins and axis range. */
  grow() {
    if (!this.plot._fullLayout?._size || !this.figure) return;
    const { scale, row, from } = this.place(this.open);
    const open = this.figure.open.slice(-MOST_OPEN);
    for (const [key, element] of this.elements) {
      if (!open.some((bar) => bar.key === key)) { element.remove(); this.elements.delete(key); }
    }
    for (const bar of open) {
      const element = this.elements.get(bar.key) ?? this.addOpen(bar);
      const left = Math.max((bar.start - from) * scale, -2);
      const width = Math.max((this.now() - from) * scale - left, 3);
      Object.assign(element.style, { left: `${left}px`, width: `${width}px`, top: `${bar.top * row}px`, height: `${bar.height * row}px` });
      const text = [bar.label, bar.short].find((label) => label && pixels(label) + 10 <= width) ?? "";
      if (element.textContent !== text) element.textContent = text;
      element.className = `open-bar state-${bar.state}${bar.pick && bar.pick === this.picked ? " picked" : ""}`;
    }
  }

  addOpen(bar) {
    const element = document.createElement("div");
    element.dataset.key = bar.key;
    this.open.append(element);
    this.elements.set(bar.key, element);
    return element;
  }

  beat() {
    setTimeout(() => this.beat(), STILL.matches ? 1000 : 100);
    if (!this.live || !this.figure || this.isHeld || this.isFrozen) return;
    if (this.follow || (!this.range && this.now() > this.axis)) this.ask();
    this.grow();
  }
}
