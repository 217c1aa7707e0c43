// On a page that answers a form: to the browser it becomes the page that the form was on, asked for as any other.
// Else Reload and Back would ask "Confirm Form Resubmission", and send the form once more. Where that is the page
// of a mail's link, whose token is in no address, `link.js` then says that it was opened and not that it lacks.
(() => {
  "use strict";
  history.replaceState("opened", "", document.currentScript.dataset.at);
})();
