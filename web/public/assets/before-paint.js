// Runs before the first paint, so that nobody sees a flash of the other theme or density.
(function () {
  var root = document.documentElement;
  var kept = {};
  try {
    kept = JSON.parse(localStorage.getItem("monjolo.appearance") || "{}");
  } catch (_) {
    // storage may be switched off: the system's own choice holds then
  }
  var dark = kept.theme === "dark" || (kept.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "dark" : "light";
  if (kept.density === "compact") root.dataset.density = "compact";
})();
