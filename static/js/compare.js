// Two timelines on one axis: a range set on one is set on both, and each asks its session's server for its own detail.
// While one of the sessions runs, the page is asked for again and what has changed in it is shown.

import { rangeOf, TimelineChart } from "./timeline.js";

const address = new URLSearchParams(location.search);
const tools = document.getElementById("timeline-tools");
const frames = [...document.querySelectorAll(".chart-frame")];
const figures = frames.map((frame) => JSON.parse(document.getElementById(frame.dataset.figure).textContent));
const POLL = 2000;
let isSharing = false;

function keepAddress(range) {
  if (range) { address.set("from", range[0].toFixed(2)); address.set("to", range[1].toFixed(2)); } else { address.delete("from"); address.delete("to"); }
  history.replaceState(null, "", `?${address}`);
}

function share(range) {
  if (isSharing) return;
  isSharing = true;
  keepAddress(range);
  for (const chart of charts) if (String(chart.range) !== String(range)) range ? chart.setRange(range) : chart.fit();
  isSharing = false;
}

async function look(chart, frame) {
  const range = chart.looked();
  const query = new URLSearchParams({ look: 1, ...(range ? { from: range[0].toFixed(3), to: range[1].toFixed(3) } : {}) });
  const answer = await fetch(`${frame.dataset.liveUrl}?${query}`, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) return;
  const { figure } = await answer.json();
  if (String(chart.looked()) === String(range)) chart.show({ ...figure, axis: chart.axis, live: false });
}

const charts = frames.map((frame) => {
  const chart = new TimelineChart(frame, {
    onPick: (pick) => { location.assign(`${frame.dataset.liveUrl.replace(/live\/$/, "")}?call=${encodeURIComponent(pick)}`); },
    onRange: share,
    onLook: () => look(chart, frame),
  });
  chart.range = rangeOf(address.get("from"), address.get("to"));
  return chart;
});

const each = (action) => charts.forEach(action);
const actions = {
  fit: () => charts[0].fit(),
  links: () => { each((chart) => chart.toggleLinks()); tools.querySelector("[data-do=links]").setAttribute("aria-pressed", String(charts[0].links)); },
  in: () => charts[0].zoom(1 / 1.5),
  out: () => charts[0].zoom(1.5),
};
tools.addEventListener("click", (event) => actions[event.target.closest("[data-do]")?.dataset.do]?.());

const keys = { f: actions.fit, "+": actions.in, "-": actions.out, ArrowLeft: () => charts[0].pan(-0.15), ArrowRight: () => charts[0].pan(0.15) };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const isInside = frames.some((frame) => frame.contains(event.target));
  const action = isInside || event.key === "f" ? keys[event.key] : null;
  if (action) { event.preventDefault(); action(); }
});

async function askedAgain() {
  if (document.hidden) return null;
  try {
    const answer = await fetch(location.href);
    return answer.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  } catch { return null; /* the server is away: what is shown stays */ }
}

function take(page) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part=${part.dataset.part}]`);
    if (fresh && fresh.innerHTML !== part.innerHTML) part.innerHTML = fresh.innerHTML;
  }
  charts.forEach((chart, k) => {
    const figure = JSON.parse(page.getElementById(frames[k].dataset.figure).textContent);
    if (!chart.looked()) return chart.show(figure);
    chart.setAxis(figure.axis);
    look(chart, frames[k]);
  });
}

async function follow() {
  const page = await askedAgain();
  if (page) take(page);
  if (!page || page.getElementById("compared")?.dataset.live) setTimeout(follow, POLL);
}

function start() {
  charts.forEach((chart, k) => { chart.show(figures[k]); if (chart.range) chart.lookAgain(); });
  if (document.getElementById("compared").dataset.live) setTimeout(follow, POLL);
}

if (window.Plotly) start(); else addEventListener("load", start);
