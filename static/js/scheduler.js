// The scheduler asks for its live part every 2 s, but not under the hands of someone who uses it.

const live = document.getElementById("scheduler-live");

document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target === live && live.contains(document.activeElement)) event.preventDefault();
});
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const isSignedOut = event.detail.xhr.responseURL.includes("/login/");
  if (event.target === live && (isSignedOut || live.contains(document.activeElement))) event.detail.shouldSwap = false;
});
