// A session's news: by websocket, and by polling while there is none. Says what state the connection is in.

const SILENCE = 4000;
const STALE = 15000;
const POLL = 2000;

export class Live {
  /** `hear(message)` applies one; it returns false where a message does not follow what is shown. */
  constructor({ url, pollUrl, seq, hear, show }) {
    Object.assign(this, { url, pollUrl, seq, hear, show });
    this.heardAt = Date.now();
    this.attempts = 0;
    this.isOver = false;
  }

  start() {
    this.show("reconnecting", "Connecting");
    this.connect();
    this.watch = setInterval(() => this.look(), 500);
  }

  connect() {
    const socket = new WebSocket(`${this.url}?after=${this.seq}`);
    this.socket = socket;
    socket.addEventListener("message", (event) => this.take(JSON.parse(event.data)));
    socket.addEventListener("close", () => { if (this.socket === socket) this.lost(); });
  }

  send(type) { if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type })); }

  take(message) {
    this.heardAt = Date.now();
    this.attempts = 0;
    if (message.type === "closed") return this.finish();
    const hasGap = message.type === "delta" ? message.after > this.seq : message.type === "tick" && message.seq > this.seq;
    if (hasGap) return this.send("resync");
    this.hear(message);
    this.seq = message.seq;
    this.send("drawn");
    this.show("live", "Live");
  }

  finish() {
    this.isOver = true;
    clearInterval(this.watch);
    this.socket?.close();
    this.show("finished", "Finished");
  }

  /** The socket is gone: poll, and try again, less and less often up to every 5 s. */
  lost() {
    this.socket = null;
    if (this.isOver) return;
    this.show("reconnecting", "Reconnecting");
    this.poll();
    setTimeout(() => { if (!this.isOver && !this.socket) this.connect(); }, Math.min(5000, 500 * 2 ** this.attempts++));
  }

  look() {
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
      try {
        const answer = await fetch(`${this.pollUrl}?after=${this.seq}`, { headers: { Accept: "application/json" } });
        if (answer.ok && !answer.redirected) {
          const message = await answer.json();
          this.hear(message);
          this.seq = message.seq;
          this.heardAt = Date.now();
          if (message.over) this.finish();
        }
      } catch { /* the server is away; the badge says so */ }
      await new Promise((done) => { setTimeout(done, POLL); });
    }
    this.isPolling = false;
  }
}
