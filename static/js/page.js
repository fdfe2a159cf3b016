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

// Rows of tables, one stop each: the row's first link or button.

function moveRow(step) {
  const stops = [...document.querySelectorAll("main tbody tr")]
    .map((row) => row.querySelector("a[href], button"))
    .filter((stop) => stop?.checkVisibility());
  const row = document.activeElement.closest("tr");
  const now = stops.findIndex((stop) => stop === document.activeElement || (row && row.contains(stop)));
  stops[Math.min(Math.max(now + step, 0), stops.length - 1)]?.focus();
}

function search() {
  const field = [...document.querySelectorAll("main input[type=search]")].find((each) => each.checkVisibility());
  field?.focus();
  field?.select();
  return Boolean(field);
}

// Single letters can be switched off: speech input and slips of the hand would set them off.

const LETTERS = "paste-letters";
const help = document.getElementById("shortcuts");
const choice = document.getElementById("letters");
const lettersAreOn = () => localStorage.getItem(LETTERS) !== "off";

if (choice) {
  choice.checked = lettersAreOn();
  choice.addEventListener("change", () => localStorage.setItem(LETTERS, choice.checked ? "on" : "off"));
}

function isLetter(event) {
  return event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target);
}

// First of all listeners, so that those of single pages hear no letter that is switched off.
addEventListener("keydown", (event) => { if (isLetter(event) && !lettersAreOn()) event.stopImmediatePropagation(); }, true);

const letters = {
  "/": search,
  "?": () => { if (help && !help.open) help.showModal(); return Boolean(help); },
  j: () => moveRow(1),
  k: () => moveRow(-1),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
    return;
  }
  if (!isLetter(event) || help?.open || !Object.hasOwn(letters, event.key)) return;
  if (letters[event.key]() !== false) event.preventDefault();
});

document.querySelector("[data-open=shortcuts]")?.addEventListener("click", (event) => {
  event.target.closest("details.menu").open = false;
  help.showModal();
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
document.querySelector(".error-summary")?.focus();

// On a telephone the row of pages is wider than the screen: the current one is brought into sight.
const here = document.querySelector(".top nav [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;
localTimes();
