// Runs before the first paint, so that the page never flashes in the wrong theme. Storage may be forbidden.
let theme = null;
try {
  theme = localStorage.getItem("drydock.theme");
} catch {}
const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.classList.toggle("dark", dark);
