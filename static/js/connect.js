// Connect: copies lines, and keeps a sign-in page out of the panel that waits for the first call.

const waiting = document.getElementById("first-call");

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const word = button.firstChild;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      word.data = "Copied";
      document.getElementById("announce").textContent = "Copied";
      setTimeout(() => { word.data = "Copy"; }, 2000);
    });
  }
}

document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target === waiting && event.detail.xhr.responseURL.includes("/login/")) event.detail.shouldSwap = false;
});
