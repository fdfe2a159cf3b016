// Every page: local times, the menu, keys for search and rows. Nothing here knows a chart.

const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

export function localTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    const short = element.dataset.style === "clock"
      ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })
      : at.toDateString() === new Date().toDateString() && element.dataset.style === "near"
      ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" })
      : at.toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    if (element.textContent !== short) element.textContent = short;
    element.title = at.toLocaleString([], { dateStyle: "full", timeStyle: "long" });
  }
}

function moveRow(step) {
  const rows = [...document.querySelectorAll("main table tbody tr a:first-of-type")];
  const now = rows.indexOf(document.activeElement);
  const next = rows[Math.min(Math.max(now + step, 0), rows.length - 1)];
  if (next) next.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
  if (event.key === "j") moveRow(1);
  if (event.key === "k") moveRow(-1);
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
document.querySelector(".error-summary")?.focus();
localTimes();
