// Reads the link's token from the fragment, takes it out of the address and the history, and asks
// what it is. Nothing is consumed: that needs the person's own click on the page that follows.
(() => {
  "use strict";
  const token = location.hash.slice(1);
  if (!/^[A-Za-z0-9_-]{16,512}$/.test(token)) return;
  history.replaceState(null, "", location.pathname + location.search);
  document.documentElement.classList.add("reading");
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("inspect");
    form.elements.token.value = token;
    form.submit();
  });
  // Coming back by the back button must not show "Opening your link" for ever.
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.documentElement.classList.remove("reading");
  });
})();
