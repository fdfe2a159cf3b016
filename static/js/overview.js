// The overview asks for its figures every 5 s, but not while someone uses them or has a table open.

const live = document.getElementById("overview-live");
const range = document.getElementById("range");

range.addEventListener("change", () => range.form.submit());
document.getElementById("range-go").hidden = true;

const isInUse = () => live.contains(document.activeElement) || live.querySelector("details[open]");
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target === live && (isInUse() || document.hidden)) event.preventDefault();
});
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const isSignedOut = event.detail.xhr.responseURL.includes("/login/");
  if (event.target === live && (isSignedOut || isInUse())) event.detail.shouldSwap = false;
});
