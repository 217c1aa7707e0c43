// Reads the link's token from the fragment, takes it out of the address and the history, and asks
// what it is. Nothing is consumed: that needs the person's own click on the page that follows.
//
// The answer is drawn in place of this page: as a page of its own it would be one that was posted, and the back
// button would end at the browser's "Confirm Form Resubmission".
(() => {
  "use strict";
  const OPENED = "opened";
  const root = document.documentElement;
  let token = "";
  let form = null;

  function take() {
    token = location.hash.slice(1);
    if (!/^[A-Za-z0-9_-]{16,512}$/.test(token)) return false;
    history.replaceState(OPENED, "", location.pathname + location.search);
    root.classList.add("reading");
    return true;
  }

  async function ask() {
    form ??= document.getElementById("inspect");
    form.elements.token.value = token;
    const page = await answer();
    if (page) return draw(page);
    document.body.append(form);
    form.submit();
  }

  // The page that says what the link does; null for whatever is better left to the browser: a way to another
  // address, a network that is away.
  async function answer() {
    try {
      const response = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "text/html" },
        redirect: "manual",
        cache: "no-store",
      });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      return page.querySelector(".column main") && page;
    } catch {
      return null;
    }
  }

  function draw(page) {
    document.title = page.title;
    document.body.replaceWith(document.adoptNode(page.body));
    document.body.append(form); // for another link that is pasted here
    root.classList.remove("reading");
    // As after a page load: a screen reader says where it is, and Tab begins at the top.
    const heading = document.querySelector("h1");
    heading.tabIndex = -1;
    (document.querySelector("[autofocus]") || heading).focus();
  }

  // Scripts run here, so it is not for want of them that nothing was read.
  function explain() {
    const why = document.querySelector(".why");
    if (why) why.textContent = history.state === OPENED ? why.dataset.opened : why.dataset.incomplete;
  }

  document.addEventListener("DOMContentLoaded", take() ? ask : explain);
  // A link pasted over the address of this very page changes the fragment and loads nothing.
  addEventListener("hashchange", () => {
    if (take()) ask();
  });
  // Coming back by the back button must not show "Opening your link" for ever.
  addEventListener("pageshow", (event) => {
    if (event.persisted) root.classList.remove("reading");
  });
})();
