// The API's document, to read and to try, drawn by the Swagger UI that comes with the API's own library.

const place = document.getElementById("api-docs");
const wantsDark = matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  const chosen = document.documentElement.dataset.theme;
  document.documentElement.classList.toggle("dark-mode", chosen ? chosen === "dark" : wantsDark.matches);
}

wantsDark.addEventListener("change", applyTheme);
applyTheme();
SwaggerUIBundle({
  dom_id: `#${place.id}`,
  url: place.dataset.document,
  deepLinking: false, // its links would stand inside buttons, which no screen reader can tell apart
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
});
