// Sphinx leaves each formula in the page as text, \( ... \) or \[ ... \], beside its number. KaTeX sets it.
for (const place of document.querySelectorAll(".math")) {
  const text = [...place.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  if (!text) continue;
  const formula = document.createElement("span");
  formula.className = "formula";
  const source = text.data.trim().slice(2, -2);
  try {
    katex.render(source, formula, { displayMode: place.tagName === "DIV" });
    text.replaceWith(formula);
  } catch (error) {
    console.error(error.message, source); // the source stays in the page
  }
}
document.documentElement.dataset.formulas = "set";
