// The session page: applies news, keeps selection, range and tab in the address, and listens to keys.

import { Live } from "./live.js";
import { localTimes } from "./page.js";
import { TimelineChart } from "./timeline.js";

const root = document.getElementById("session");
const badge = document.getElementById("badge");
const frame = document.getElementById("timeline");
const place = document.getElementById("panel-place");
const rows = document.getElementById("event-rows");
const announcer = document.getElementById("announce");
const MOST_EVENTS = 300;
const SAY_EVERY = 5000;

const address = new URLSearchParams(location.search);
let picked = address.get("call") ?? "";
let saidAt = 0;

function keepAddress(changes) {
  for (const [key, value] of Object.entries(changes)) value === null ? address.delete(key) : address.set(key, value);
  history.replaceState(null, "", address.size ? `?${address}` : location.pathname);
}

const chart = new TimelineChart(frame, {
  onPick: (pick) => select(pick),
  onRange: (range, follow) => {
    keepAddress(range ? { from: range[0].toFixed(2), to: range[1].toFixed(2) } : { from: null, to: null });
    document.querySelector("[data-do=follow]").setAttribute("aria-pressed", String(follow));
  },
});
if (address.has("from") && address.has("to")) chart.range = [Number(address.get("from")), Number(address.get("to"))];

// Selection: one call or run, in table and panel at once.

async function select(pick) {
  picked = pick;
  keepAddress({ call: pick || null });
  mark();
  if (!pick) { place.replaceChildren(); return; }
  const answer = await fetch(root.dataset.callUrl.replace("PICK", encodeURIComponent(pick)));
  if (!answer.ok || pick !== picked) return;
  place.innerHTML = await answer.text();
  announcer.textContent = place.querySelector("h2")?.textContent ?? "";
}

function mark() {
  for (const row of document.querySelectorAll("#panel-calls tr[data-pick]")) row.classList.toggle("selected", row.dataset.pick === picked);
}

function step(by) {
  const picks = [...document.querySelectorAll("#panel-calls tr[data-pick]")].map((row) => row.dataset.pick);
  const next = picks[Math.min(Math.max(picks.indexOf(picked) + by, 0), picks.length - 1)];
  if (next) select(next);
}

root.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-pick]");
  if (link && !event.ctrlKey && !event.metaKey) { event.preventDefault(); select(link.dataset.pick); }
  if (event.target.closest("[data-close=panel]")) select("");
});

// Tabs

const tabs = [...document.querySelectorAll("[role=tab]")];

function openTab(tab) {
  for (const other of tabs) {
    const isChosen = other === tab;
    other.setAttribute("aria-selected", String(isChosen));
    other.tabIndex = isChosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !isChosen;
  }
  keepAddress({ tab: tab.id.replace("tab-", "") });
}

for (const tab of tabs) {
  tab.addEventListener("click", () => openTab(tab));
  tab.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    openTab(next);
    next.focus();
  });
}

// Keys of the timeline, and its buttons

const actions = {
  fit: () => chart.fit(),
  follow: () => chart.toggleFollow(),
  links: () => document.querySelector("[data-do=links]").setAttribute("aria-pressed", String(chart.toggleLinks())),
  in: () => chart.zoom(1 / 1.5),
  out: () => chart.zoom(1.5),
};
document.getElementById("timeline-tools").addEventListener("click", (event) => actions[event.target.closest("[data-do]")?.dataset.do]?.());

const keys = {
  f: actions.fit, l: actions.follow, "+": actions.in, "-": actions.out, ".": () => step(1), ",": () => step(-1),
  ArrowLeft: () => chart.pan(-0.15), ArrowRight: () => chart.pan(0.15),
  Enter: () => document.getElementById("call-panel")?.focus(), Escape: () => { select(""); frame.focus(); },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const isInside = frame.contains(event.target) || place.contains(event.target);
  if (!isInside && !"fl.,".includes(event.key)) return;
  if (place.contains(event.target) && event.key !== "Escape") return;
  const action = keys[event.key];
  if (action) { event.preventDefault(); action(); }
});

// The two bars are the minimap: dragging on them sets the range.

let dragFrom = null;
const strip = document.querySelector(".strip-frame");
const secondsAt = (event) => {
  const box = strip.querySelector("svg.strip").getBoundingClientRect();
  return ((event.clientX - box.left) / box.width) * Number(strip.querySelector("svg.strip").dataset.axis);
};
strip.addEventListener("pointerdown", (event) => { dragFrom = secondsAt(event); });
addEventListener("pointerup", (event) => {
  if (dragFrom === null) return;
  const [from, to] = [dragFrom, secondsAt(event)].sort((a, b) => a - b);
  dragFrom = null;
  if (to - from > 0.1) chart.setRange([from, to]);
});

// News

function hear(message) {
  const focused = document.activeElement?.dataset?.pick;
  for (const [name, html] of Object.entries(message.parts ?? {})) {
    const part = document.querySelector(`[data-part="${name}"]`);
    part.innerHTML = html;
    localTimes(part);
  }
  if (focused) document.querySelector(`a[data-pick="${CSS.escape(focused)}"]`)?.focus();
  if (message.events !== undefined) addEvents(message);
  chart.setClock(message.now);
  chart.setAxis(message.axis);
  if (message.figure) chart.show(message.figure);
  mark();
  document.getElementById("stop")?.toggleAttribute("hidden", !message.live);
  document.getElementById("waiting").hidden = message.seq > 2;
  say(message.says);
}

function addEvents(message) {
  if (message.after === 0) rows.replaceChildren();
  const last = Number(rows.lastElementChild?.dataset.seq ?? 0);
  const fresh = document.createElement("tbody");
  fresh.innerHTML = message.events;
  for (const row of [...fresh.children]) if (Number(row.dataset.seq) > last) rows.append(row);
  while (rows.children.length > MOST_EVENTS) rows.firstElementChild.remove();
}

function say(text) {
  if (!text || Date.now() - saidAt < SAY_EVERY || announcer.textContent === text) return;
  saidAt = Date.now();
  announcer.textContent = text;
}

function start() {
  chart.show(JSON.parse(document.getElementById("figure").textContent));
  mark();
  if (root.dataset.ended === "true") return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  new Live({
    url: `${scheme}://${location.host}/ws/sessions/${root.dataset.id}/`,
    pollUrl: root.dataset.liveUrl,
    seq: Number(root.dataset.seq),
    hear,
    show: (state, text) => { badge.dataset.state = state; if (badge.textContent !== text) badge.textContent = text; },
  }).start();
}

if (window.Plotly) start(); else addEventListener("load", start);
