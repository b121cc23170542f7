// A link from the ledger may lead into a folded solution: unfold it, then go there.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target && target.closest(".toggle-hidden");
  if (!folded) return;
  folded.querySelector(".toggle-button").click();
  target.scrollIntoView();
}
window.addEventListener("load", openTarget);
window.addEventListener("hashchange", openTarget);
