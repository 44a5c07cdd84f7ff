/* Before anything is drawn: the theme that was chosen here, else the system's. No module, so that it runs at once. */
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("enginewatch.theme");
  } catch {
    /* storage is closed: the system's it is */
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
