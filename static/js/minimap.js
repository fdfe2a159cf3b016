// The two bars are the minimap: what the chart shows is marked on them, and dragging along them sets the chart's range.

const LEAST_DRAG = 4; // pixels: less is a click

export class Minimap {
  /** `axis()`: seconds at the right edge. */
  constructor(place, { axis, onRange }) {
    Object.assign(this, { place, axis, onRange });
    this.ground = place.querySelector(".minimap-axis");
    this.seen = place.querySelector("#minimap-seen");
    this.drag = place.querySelector("#minimap-drag");
    this.from = null;
    place.addEventListener("pointerdown", (event) => this.begin(event));
    place.addEventListener("pointermove", (event) => this.move(event));
    place.addEventListener("pointerup", (event) => this.end(event));
    place.addEventListener("pointercancel", () => this.stop());
  }

  /** Marks the range that the chart shows; null for everything. */
  show(range) {
    this.seen.hidden = !range;
    if (range) this.put(this.seen, range[0] / this.axis(), range[1] / this.axis());
  }

  put(element, low, high) {
    const [from, to] = [low, high].map((share) => Math.min(Math.max(share, 0), 1) * 100);
    Object.assign(element.style, { left: `${from}%`, width: `${Math.max(to - from, 0.2)}%` });
  }

  share(event) {
    const box = this.ground.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  }

  begin(event) {
    if (event.button !== 0) return;
    this.from = { share: this.share(event), x: event.clientX };
    this.place.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.from || Math.abs(event.clientX - this.from.x) < LEAST_DRAG) return;
    const [low, high] = [this.from.share, this.share(event)].sort((one, other) => one - other);
    this.drag.hidden = false;
    this.put(this.drag, low, high);
  }

  end(event) {
    if (!this.from) return;
    const [low, high] = [this.from.share, this.share(event)].sort((one, other) => one - other);
    const isDrag = Math.abs(event.clientX - this.from.x) >= LEAST_DRAG;
    this.stop();
    if (isDrag) this.onRange([low * this.axis(), high * this.axis()]);
  }

  stop() { this.from = null; this.drag.hidden = true; }
}
