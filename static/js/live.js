// A session's news: by websocket, and by polling while there is none. Says what state the connection is in. While paused,
// news is counted and not shown; what the reader asks for (another range, another page) is.

const SILENCE = 4000;
const STALE = 15000;
const POLL = 2000;

export class Live {
  /** `hear(message)` applies one. `sight()`: what is looked at, as the address has it. `isOver`: nothing more can come. */
  constructor({ url, pollUrl, seq, isOver, hear, show, sight }) {
    Object.assign(this, { url, pollUrl, seq, isOver, hear, show, sight });
    this.heardAt = Date.now();
    this.attempts = 0;
    this.isPaused = false;
    this.newest = seq;
  }

  start() {
    if (this.isOver) return;
    this.show("reconnecting", "Connecting");
    this.connect();
    this.watch = setInterval(() => this.noticeSilence(), 500);
  }

  connect() {
    const socket = new WebSocket(`${this.url}?${this.query()}`);
    this.socket = socket;
    socket.addEventListener("message", (event) => this.take(JSON.parse(event.data)));
    socket.addEventListener("close", () => { if (this.socket === socket) this.lost(); });
  }

  query(more = {}) { return new URLSearchParams({ ...this.sight(), after: this.seq, ...more }); }

  send(message) { if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message)); }

  take(message) {
    this.heardAt = Date.now();
    this.attempts = 0;
    if (message.type === "closed") return this.finish();
    if (this.isPaused && message.type !== "look") return this.count(message);
    const hasGap = message.type === "delta" ? message.after > this.seq : message.type === "tick" && message.seq > this.seq;
    if (hasGap) return this.send({ type: "resync" });
    this.apply(message);
    this.send({ type: "drawn" });
    if (this.isPaused) this.sayPaused(); else this.show("live", "Live");
  }

  apply(message) {
    this.hear(message);
    this.seq = message.seq;
    this.newest = Math.max(this.newest, message.seq);
  }

  /** Another range or page: from the socket, which then keeps to it; without one, asked for once. What was asked before is
   * dropped; `what` "range": everything but the chart is there already. */
  async look(what = "all") {
    if (this.socket?.readyState === WebSocket.OPEN) return this.send({ type: "look", sight: this.sight() });
    this.lacksAll ||= what === "all";
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const message = await this.fetch(this.query({ look: this.lacksAll ? 1 : "range" }), asking.signal);
    if (!message || asking !== this.asking) return;
    this.lacksAll = false;
    this.apply(message);
  }

  async fetch(query, signal) {
    try {
      const answer = await fetch(`${this.pollUrl}?${query}`, { headers: { Accept: "application/json" }, signal });
      return answer.ok && !answer.redirected ? await answer.json() : null;
    } catch { return null; /* dropped, or the server is away; the badge says so */ }
  }

  // Pause

  togglePause() {
    this.isPaused = !this.isPaused;
    this.isPaused ? this.sayPaused() : this.resume();
    return this.isPaused;
  }

  async resume() {
    if (this.socket?.readyState === WebSocket.OPEN) return this.send({ type: "resync" });
    if (this.isOver) this.show("finished", "Finished"); else this.show("reconnecting", "Reconnecting");
    await this.look();
  }

  count(message) {
    this.newest = Math.max(this.newest, message.seq);
    this.send({ type: "drawn" });
    this.sayPaused();
  }

  sayPaused() { this.show("paused", `Paused, ${this.newest - this.seq} new`); }

  // Losing the socket, and the end

  finish() {
    this.isOver = true;
    clearInterval(this.watch);
    this.socket?.close();
    this.socket = null;
    if (this.isPaused) this.sayPaused(); else this.show("finished", "Finished");
  }

  /** The socket is gone: poll, and try again, less and less often up to every 5 s. */
  lost() {
    this.socket = null;
    if (this.isOver) return;
    if (!this.isPaused) this.show("reconnecting", "Reconnecting");
    this.poll();
    setTimeout(() => { if (!this.isOver && !this.socket) this.connect(); }, Math.min(5000, 500 * 2 ** this.attempts++));
  }

  noticeSilence() {
    const silent = Date.now() - this.heardAt;
    if (silent < SILENCE) return;
    if (this.socket?.readyState === WebSocket.OPEN || this.socket?.readyState === WebSocket.CONNECTING) {
      const socket = this.socket;
      this.lost();
      socket.close();
    }
    if (silent > STALE) this.show("stale", `Stale since ${new Date(this.heardAt).toLocaleTimeString()}`);
  }

  async poll() {
    if (this.isPolling) return;
    this.isPolling = true;
    while (!this.isOver && this.socket?.readyState !== WebSocket.OPEN) {
      const message = await this.fetch(this.query());
      if (message) {
        this.heardAt = Date.now();
        if (this.isPaused) this.count(message); else this.apply(message);
        if (message.over) this.finish();
      }
      await new Promise((done) => { setTimeout(done, POLL); });
    }
    this.isPolling = false;
  }
}
