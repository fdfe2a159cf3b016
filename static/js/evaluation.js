// The charts of the evaluation's page: figures come as JSON in the page, colours as names of tokens (tokens.js is above).

const CONFIG = { displayModeBar: false, plotlyServerURL: "", responsive: true };

function draw() {
  for (const script of document.querySelectorAll("script[data-figure]")) {
    const figure = coloured(JSON.parse(script.textContent));
    Plotly.react(document.getElementById(script.dataset.figure), figure.data, figure.layout, CONFIG);
  }
}

draw();
onThemeChange(draw);
