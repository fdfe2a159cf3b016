// Colours for charts, out of the same tokens as the pages': "var(--used)" becomes what it is in the present theme.

const known = new Map();
let probe = null;

function colour(reference) {
  if (!known.has(reference)) {
    if (!probe) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = reference;
    known.set(reference, getComputedStyle(probe).color);
  }
  return known.get(reference);
}

/** A copy of a JSON value with every token in its present colour. */
export function coloured(value) {
  if (typeof value === "string") return value.startsWith("var(--") ? colour(value) : value;
  if (Array.isArray(value)) return value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item)]));
  return value;
}

/** Calls back whenever the system's theme changes. */
export function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { known.clear(); callback(); });
}
