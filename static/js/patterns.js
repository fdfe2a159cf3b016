// Patterns: one box that ticks all of the page. Without script each row's own box does.

const head = document.querySelector("#pattern-rows thead .tick");
const boxes = [...document.querySelectorAll("#pattern-rows tbody .tick input")];

if (head && boxes.length) {
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "All of this page");
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  for (const box of boxes) box.addEventListener("change", show);
  addEventListener("pageshow", show);
  head.replaceChildren(all);
}
