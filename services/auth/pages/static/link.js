// Reads the link's token from the fragment, takes it out of the address and the history, and asks
// what it is. Nothing is consumed: that needs the person's own click on the page that follows.
(() => {
  "use strict";
  const root = document.documentElement;
  let token = "";

  function take() {
    token = location.hash.slice(1);
    if (!/^[A-Za-z0-9_-]{16,512}$/.test(token)) return false;
    history.replaceState(null, "", location.pathname + location.search);
    root.classList.add("reading");
    return true;
  }

  function ask() {
    const form = document.getElementById("inspect");
    form.elements.token.value = token;
    form.submit();
  }

  if (take()) document.addEventListener("DOMContentLoaded", ask);
  // A link pasted over the address of this very page changes the fragment and loads nothing.
  addEventListener("hashchange", () => {
    if (take()) ask();
  });
  // Coming back by the back button must not show "Opening your link" for ever.
  addEventListener("pageshow", (event) => {
    if (event.persisted) root.classList.remove("reading");
  });
})();
