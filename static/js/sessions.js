// The list: rows on the page change in place; new sessions wait behind a button.

import { localTimes } from "./page.js";

const body = document.getElementById("session-rows");
const badge = document.getElementById("badge");
const newer = document.getElementById("newer");
const LEAST_PAUSE = 1000;
const REFRESH_RUNNING = 3000;

let refreshedAt = 0;
let isWaiting = false;
let attempts = 0;

const stateOf = (row) => row.querySelector(".state span")?.textContent;

async function refresh() {
  isWaiting = false;
  refreshedAt = Date.now();
  const url = new URL(body.dataset.url, location.href);
  url.searchParams.set("part", "rows");
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = document.createElement("tbody");
  fresh.innerHTML = await answer.text();
  localTimes(fresh);
  let unseen = 0;
  for (const row of [...fresh.children]) {
    const shown = document.getElementById(row.id);
    if (!shown) { unseen += 1; continue; }
    if (shown.innerHTML === row.innerHTML) continue;
    const state = stateOf(shown);
    if (shown.contains(document.activeElement)) {
      for (const [k, cell] of [...row.children].entries()) if (k > 0) shown.children[k].replaceWith(cell);
    } else shown.replaceChildren(...row.childNodes);
    if (stateOf(shown) !== state) {
      shown.classList.remove("changed");
      requestAnimationFrame(() => shown.classList.add("changed"));
    }
  }
  newer.hidden = unseen === 0;
  newer.querySelector("span").textContent = String(unseen);
}

function ask() {
  if (isWaiting || !body || document.hidden) return;
  isWaiting = true;
  setTimeout(refresh, Math.max(0, refreshedAt + LEAST_PAUSE - Date.now()));
}

function show(state, text) { badge.dataset.state = state; if (badge.textContent !== text) badge.textContent = text; }

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/sessions/`);
  let heardAt = Date.now();
  socket.addEventListener("message", (event) => {
    heardAt = Date.now();
    attempts = 0;
    show("live", "Live");
    if (JSON.parse(event.data).type === "changed") ask();
  });
  const watch = setInterval(() => { if (Date.now() - heardAt > 4000) socket.close(); }, 1000);
  socket.addEventListener("close", () => {
    clearInterval(watch);
    show("reconnecting", "Reconnecting");
    ask();
    setTimeout(connect, Math.min(5000, 500 * 2 ** attempts++));
  });
}

if (body) {
  connect();
  setInterval(() => { if (body.querySelector(".state .gain") || badge.dataset.state !== "live") ask(); }, REFRESH_RUNNING);
}
