// A box that scrolls must be reachable with the keyboard. Which boxes scroll depends on the window.
const BOXES = "pre, .formula, p, div.cell_output, .highlight, .table-wrapper, .pst-scrollable-table-container";

function reachable() {
  for (const box of document.querySelectorAll(BOXES)) {
    const overflow = getComputedStyle(box).overflowX;
    const scrolls = /auto|scroll/.test(overflow) && box.scrollWidth > box.clientWidth;
    if (scrolls) box.tabIndex = 0;
    else if (box.tabIndex === 0 && !box.matches("a, button, input")) box.removeAttribute("tabindex");
  }
}

// The theme labels this button "Search", although it shows "Search Ctrl + K", and leaves the name of the book
// outside every landmark.
function mendTheme() {
  document.querySelector(".search-button-field")?.removeAttribute("aria-label");
  const title = document.querySelector(".bd-sidebar-primary .navbar-brand")?.parentElement;
  title?.setAttribute("role", "navigation");
  title?.setAttribute("aria-label", "Title page");
}

window.addEventListener("load", () => {
  mendTheme();
  reachable();
});
window.addEventListener("resize", reachable);
