"use strict";
// A key presses the button or link that bears it, once: a held key must not decide the next image, too.
let pressed = false;
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=radio],[type=checkbox]),select,textarea");
  if (event.key === "Escape") event.target.blur();
  if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || pressed) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const focus = document.querySelector(`[data-focus="${CSS.escape(key)}"]`);
  if (focus) {
    event.preventDefault();
    focus.focus();
    return;
  }
  const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return;
  event.preventDefault();
  // A label only changes the view.
  pressed = target.matches("a,button");
  target.click();
});
// The next pair is shown in the same view.
for (const view of document.querySelectorAll("input[name=view]")) {
  if (sessionStorage.getItem("view") === view.id) view.checked = true;
  view.addEventListener("change", () => sessionStorage.setItem("view", view.id));
}
// Coming back by the browser's own button shows this page again as it was left.
window.addEventListener("pageshow", () => { pressed = false; });
