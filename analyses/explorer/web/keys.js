// Arrow keys go from tab to tab; sliders and lists are called what stands beside them, which
// Dash leaves out.
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.('[role="tab"]');
  if (!tab) return;
  const tabs = [...tab.parentElement.children], now = tabs.indexOf(tab), n = tabs.length;
  const goes = { ArrowRight: (now + 1) % n, ArrowLeft: (now + n - 1) % n, Home: 0, End: n - 1 };
  if (!(event.key in goes)) return;
  event.preventDefault();
  tabs[goes[event.key]].focus();
  tabs[goes[event.key]].click();
});

// Another link in the address bar is another state.
window.addEventListener("hashchange", () => window.location.reload());

function name() {
  const bare = ":is([role=slider], input):not([aria-label])";
  for (const part of document.querySelectorAll(`[data-name] ${bare}`)) {
    part.setAttribute("aria-label", part.closest("[data-name]").dataset.name);
  }
  for (const label of document.querySelectorAll("label[for]")) {
    const list = document.getElementById(label.htmlFor), by = list?.getAttribute("aria-labelledby");
    label.id ||= `${label.htmlFor}-label`;
    if (by && !by.startsWith(label.id)) list.setAttribute("aria-labelledby", `${label.id} ${by}`);
  }
}
new MutationObserver(name).observe(document, { childList: true, subtree: true });
