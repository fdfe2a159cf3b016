// The timeline's chart. The server sends the whole figure; here it is coloured, labelled, kept in range and drawn at most
// four times a second. Runs that are still open grow in between as plain elements over the chart.
/* global Plotly */

import { coloured, onThemeChange } from "./tokens.js";

const LEAST_PAUSE = 250;
const MOST_LABELS = 60;
const MOST_OPEN = 20;
const ink = document.createElement("canvas").getContext("2d");
const CONFIG = { displayModeBar: false, plotlyServerURL: "", scrollZoom: false, doubleClick: false, responsive: true };
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const NARROW = matchMedia("(max-width: 700px)");
const SHORT_NAMES = { "Tools, authoritative": "Tools", "would have run": "would run" };

function pixels(text) {
  ink.font = "12px system-ui, sans-serif";
  return ink.measureText(text).width;
}

const spoken = (label) => (label ?? "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

export class TimelineChart {
  constructor(frame, { onPick, onRange }) {
    this.frame = frame;
    this.plot = frame.querySelector("#chart");
    this.open = frame.querySelector("#open-bars");
    this.onPick = onPick;
    this.onRange = onRange;
    this.range = null; // null: everything
    this.follow = false;
    this.links = true;
    this.drawnAt = 0;
    this.clock = { seconds: 0, at: performance.now() };
    this.elements = new Map();
    onThemeChange(() => this.draw());
    NARROW.addEventListener("change", () => this.draw());
    frame.addEventListener("pointerdown", () => { this.isHeld = true; });
    addEventListener("pointerup", () => { this.isHeld = false; });
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.beat();
  }

  /** Seconds since the session's start, by the server's clock. */
  now() { return this.live ? this.clock.seconds + (performance.now() - this.clock.at) / 1000 : this.figure?.end ?? 0; }

  setClock(seconds) { this.clock = { seconds, at: performance.now() }; }

  show(figure) {
    this.figure = figure;
    this.live = figure.live;
    document.getElementById("merged").hidden = figure.merged === 0;
    this.setAxis(figure.axis);
    this.ask();
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
      const span = this.range ? this.range[1] - this.range[0] : 20;
      return [this.now() - span * 0.9, this.now() + span * 0.1];
    }
    return this.range ?? this.whole();
  }

  draw() {
    if (!this.figure || !window.Plotly) return;
    const { data, layout } = coloured({ data: this.figure.data, layout: this.figure.layout });
    layout.margin = { ...layout.margin, l: NARROW.matches ? 78 : layout.margin.l, r: NARROW.matches ? 6 : layout.margin.r };
    if (NARROW.matches) layout.yaxis.ticktext = layout.yaxis.ticktext.map((name) => SHORT_NAMES[name] ?? name.replace("Speculative", "Spec.").replace(/,.*/, ""));
    layout.xaxis.range = this.visible();
    this.label(data, layout);
    for (const trace of data) if (trace.name === "links") trace.visible = this.links;
    Plotly.react(this.plot, data, layout, CONFIG);
    this.drawnAt = performance.now();
    if (!this.isBound) this.bind();
    this.grow();
  }

  /** The longest label that fits, else the shorter, else the mark alone, else none. */
  label(data, layout) {
    const width = this.plot.clientWidth - layout.margin.l - layout.margin.r;
    const [from, to] = layout.xaxis.range;
    let left = MOST_LABELS;
    for (const trace of data) {
      if (trace.type !== "bar") continue;
      trace.text = trace.customdata.map(([, long, short], k) => {
        const seen = Math.min(trace.base[k] + trace.x[k], to) - Math.max(trace.base[k], from);
        const fits = (text) => text && pixels(spoken(text)) + 10 <= (seen / (to - from)) * width;
        const text = [long, short, (long ?? "").split(" ")[0]].find(fits) ?? "";
        return text && left-- > 0 ? text : "";
      });
    }
  }

  bind() {
    this.isBound = true;
    this.plot.on("plotly_click", (event) => { const pick = event.points[0]?.customdata?.[0]; if (pick) this.onPick(pick); });
    this.plot.on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
      const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
      if (from !== undefined && to !== undefined && !this.isOurs) this.setRange([from, to]);
    });
  }

  setRange(range) {
    this.range = range;
    this.follow = false;
    this.onRange(range, this.follow);
    this.relayout();
  }

  relayout() {
    this.isOurs = true;
    this.draw();
    this.isOurs = false;
  }

  fit() { this.range = null; this.follow = false; this.onRange(null, false); this.relayout(); }

  toggleFollow() { this.follow = !this.follow; this.onRange(this.range, this.follow); this.relayout(); return this.follow; }

  toggleLinks() { this.links = !this.links; this.relayout(); return this.links; }

  zoom(factor, middle) {
    const [from, to] = this.visible();
    const centre = middle ?? (from + to) / 2;
    this.setRange([centre - (centre - from) * factor, centre + (to - centre) * factor]);
  }

  pan(share) {
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
    const size = this.plot._fullLayout?._size;
    if (!size || !this.figure) return;
    Object.assign(this.open.style, { left: `${size.l}px`, top: `${size.t}px`, width: `${size.w}px`, height: `${size.h}px` });
    const [from, to] = this.plot._fullLayout.xaxis.range;
    const scale = size.w / (to - from);
    const row = size.h / this.figure.rows;
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
      element.className = `open-bar state-${bar.state}`;
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
    if (!this.live || !this.figure || this.isHeld) return;
    if (this.follow || (!this.range && this.now() > this.axis)) this.ask();
    this.grow();
  }
}
