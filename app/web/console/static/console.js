// Conveniences alone: every page works without.

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

const print = document.querySelector("button[data-print]");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}

// A code travels in the fragment of a link, which browsers send to nobody.
const field = document.querySelector("input[data-from-fragment]");
if (field && location.hash.length > 1 && !field.value) {
  field.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

document.querySelector("a[data-begin]")?.click();

document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
