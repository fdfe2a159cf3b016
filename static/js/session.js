// The session page: applies news, keeps selection, range and pages in the address, and listens to keys.

import { Live } from "./live.js";
import { Minimap } from "./minimap.js";
import { localTimes } from "./page.js";
import { rangeOf, TimelineChart } from "./timeline.js";

const root = document.getElementById("session");
const badge = document.getElementById("badge");
const frame = document.getElementById("timeline");
const place = document.getElementById("panel-place");
const announcer = document.getElementById("announce");
const tools = document.getElementById("timeline-tools");
const button = (name) => tools.querySelector(`[data-do=${name}]`);
const MOST_EVENTS = 300;
const SAY_EVERY = 5000;
const MOST_PANELS = 100;
const PAGED = ["calls", "turns", "predictions", "before"];

const address = new URLSearchParams(location.search);
let picked = address.get("call") ?? "";
let saidAt = 0;

function keepAddress(changes) {
  for (const [key, value] of Object.entries(changes)) value === null ? address.delete(key) : address.set(key, value);
  history.replaceState(null, "", address.size ? `?${address}` : location.pathname);
}

const chart = new TimelineChart(frame, {
  onPick: (pick) => choose(pick),
  onLook: () => live.look("range"),
  onMerged: (count) => { document.getElementById("merged").hidden = count === 0; },
  onRange: (range, follow) => {
    keepAddress(range ? { from: range[0].toFixed(2), to: range[1].toFixed(2) } : { from: null, to: null });
    minimap.show(range);
    button("follow").setAttribute("aria-pressed", String(follow));
  },
});
const minimap = new Minimap(document.getElementById("minimap"), { axis: () => chart.axis, onRange: (range) => chart.setRange(range) });
chart.range = rangeOf(address.get("from"), address.get("to"));

/** What is looked at, for the server: the address, with the range that is really seen. */
function sight() {
  const looked = Object.fromEntries(["call", ...PAGED].filter((key) => address.has(key)).map((key) => [key, address.get(key)]));
  const range = chart.looked();
  return range ? { ...looked, from: range[0].toFixed(3), to: range[1].toFixed(3) } : looked;
}

const scheme = location.protocol === "https:" ? "wss" : "ws";
const live = new Live({
  url: `${scheme}://${location.host}/ws/sessions/${root.dataset.id}/`,
  pollUrl: root.dataset.liveUrl,
  seq: Number(root.dataset.seq),
  isOver: root.dataset.ended === "true",
  hear,
  sight,
  show: (state, text) => {
    badge.dataset.state = state;
    if (badge.textContent !== text) badge.textContent = text;
    if (state === "finished") button("pause").hidden = true;
  },
});

// Selection: one call or run, in chart, table and panel at once.

/** Row, bar and address at once; the panel as soon as it is there. */
function choose(pick) {
  owed = 0;
  select(pick);
}

async function select(pick) {
  picked = pick;
  keepAddress({ call: pick || null });
  mark();
  chart.pick(pick);
  place.setAttribute("aria-busy", String(Boolean(pick)));
  if (!pick) { place.replaceChildren(); return; }
  const html = await panelOf(pick);
  if (pick !== picked) return;
  place.setAttribute("aria-busy", "false");
  if (html) openPanel(pick, html); else owed = 0;
}

function openPanel(pick, html) {
  place.innerHTML = html;
  announcer.textContent = place.querySelector("h2")?.textContent ?? "";
  chart.reveal(Number(panel().dataset.middle));
  if (!rowOf(pick)) turnTo("calls", null);
  if (live.isOver) for (const beside of [panel().dataset.next, panel().dataset.previous]) if (beside) keepPanel(beside);
  stepOn();
}

// Of a session that is over, the panels beside the selected one are fetched before anybody asks, and all are kept.

const panels = new Map();
let asking = null;

function panelOf(pick) {
  asking?.abort();
  asking = null;
  if (live.isOver) return keepPanel(pick);
  asking = new AbortController();
  return fetchPanel(pick, asking.signal);
}

function keepPanel(pick) {
  if (!panels.has(pick)) {
    if (panels.size >= MOST_PANELS) panels.delete(panels.keys().next().value);
    panels.set(pick, fetchPanel(pick).then((html) => { if (!html) panels.delete(pick); return html; }));
  }
  return panels.get(pick);
}

/** Its HTML; empty where there is none to be had. */
async function fetchPanel(pick, signal) {
  try {
    const answer = await fetch(root.dataset.callUrl.replace("PICK", encodeURIComponent(pick)), { signal });
    return answer.ok && !answer.redirected ? await answer.text() : "";
  } catch { return ""; }
}

const panel = () => document.getElementById("call-panel");
const rowOf = (pick) => document.querySelector(`#panel-calls tr[data-pick="${CSS.escape(pick)}"]`);

function mark() {
  for (const row of document.querySelectorAll("#panel-calls tr[data-pick]")) row.classList.toggle("selected", row.dataset.pick === picked);
}

let owed = 0; // steps that were asked for before it was known where they lead

function step(by) { owed += by; stepOn(); }

function stepOn() {
  while (owed) {
    const by = Math.sign(owed), next = neighbour(by);
    if (next === undefined) return; // its panel will tell
    owed = next ? owed - by : 0;
    if (next) select(next);
  }
}

/** The call beside the selected one in the order of the Calls table, which may stand on another page of it. */
function neighbour(by) {
  if (!picked) return document.querySelector("#panel-calls tr[data-pick]")?.dataset.pick ?? "";
  if (panel()?.dataset.pick === picked) return panel().dataset[by > 0 ? "next" : "previous"];
  const row = rowOf(picked);
  return (by > 0 ? row?.nextElementSibling : row?.previousElementSibling)?.dataset.pick;
}

root.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey) return;
  const link = event.target.closest("a[data-pick]");
  if (link) { event.preventDefault(); choose(link.dataset.pick); }
  const page = event.target.closest("a[data-page-of]");
  if (page) {
    event.preventDefault();
    const name = page.dataset.pageOf === "events" ? "before" : page.dataset.pageOf;
    turnTo(name, new URL(page.href).searchParams.get(name));
  }
  if (event.target.closest("[data-close=panel]")) { choose(""); frame.focus(); }
});

function turnTo(name, page) {
  keepAddress({ [name]: page });
  live.look();
}

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

function pause() {
  if (button("pause").hidden) return;
  const isPaused = live.togglePause();
  button("pause").setAttribute("aria-pressed", String(isPaused));
  chart.freeze(isPaused);
}

function showTable() {
  const tab = document.getElementById("tab-calls");
  openTab(tab);
  tab.focus();
  tab.scrollIntoView({ block: "start" });
}

const actions = {
  pause,
  fit: () => chart.fit(),
  follow: () => { if (!button("follow").hidden) chart.toggleFollow(); },
  links: () => button("links").setAttribute("aria-pressed", String(chart.toggleLinks())),
  in: () => chart.zoom(1 / 1.5),
  out: () => chart.zoom(1.5),
  table: showTable,
};
tools.addEventListener("click", (event) => actions[event.target.closest("[data-do]")?.dataset.do]?.());

const keys = {
  f: actions.fit, l: actions.follow, p: actions.pause, "+": actions.in, "-": actions.out, ".": () => step(1), ",": () => step(-1),
  ArrowLeft: () => chart.pan(-0.15), ArrowRight: () => chart.pan(0.15),
  Enter: () => panel()?.focus(), Escape: () => { choose(""); frame.focus(); },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const isInside = frame.contains(event.target) || place.contains(event.target);
  if (!isInside && !"flp.,".includes(event.key)) return;
  if (place.contains(event.target) && !["Escape", ".", ","].includes(event.key)) return;
  const action = keys[event.key];
  if (action) { event.preventDefault(); action(); }
});

const copy = document.getElementById("copy-id");
copy.hidden = !navigator.clipboard;
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(copy.dataset.copy);
  announcer.textContent = copy.textContent = "Copied";
});

// News

function hear(message) {
  const focused = document.activeElement?.dataset?.pick;
  const turned = document.activeElement?.dataset?.pageOf;
  for (const [name, html] of Object.entries(message.parts ?? {})) {
    const part = document.querySelector(`[data-part="${name}"]`);
    part.innerHTML = html;
    localTimes(part);
  }
  if (focused) document.querySelector(`a[data-pick="${CSS.escape(focused)}"]`)?.focus();
  if (turned) document.querySelector(`a[data-page-of="${turned}"]`)?.focus();
  if (message.events !== undefined) addEvents(message);
  chart.setClock(message.now);
  if (message.axis !== undefined) chart.setAxis(message.axis);
  if (message.figure) chart.show(message.figure, message.type === "look");
  minimap.show(chart.range);
  mark();
  for (const element of [document.getElementById("stop"), button("follow")]) element?.toggleAttribute("hidden", !message.live);
  document.getElementById("waiting").hidden = message.seq > 2;
  say(message.says);
}

/** Rows at the log's end; a reader of an earlier part of it keeps that part. */
function addEvents(message) {
  if (address.has("before")) return;
  const rows = document.getElementById("event-rows");
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

/** A long log comes after the page: what it tells, as another range would. */
async function read() {
  const message = await live.fetch(live.query({ look: 1 }));
  if (!message) { document.getElementById("waiting").textContent = "The log could not be read. Load the page again to try again."; return; }
  live.isOver = message.over;
  live.apply(message);
  if (live.isOver) live.finish();
  if (picked) select(picked);
}

async function start() {
  chart.picked = picked;
  const figure = JSON.parse(document.getElementById("figure").textContent);
  if (figure) chart.show(figure); else await read();
  minimap.show(chart.range);
  mark();
  live.start();
}

if (window.Plotly) start(); else addEventListener("load", start);
