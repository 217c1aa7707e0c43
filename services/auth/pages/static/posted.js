// On a page that answers a form: to the browser it becomes the page that the form was on, asked for as any other.
// Else Reload and Back would ask "Confirm Form Resubmission", and send the form once more.
(() => {
  "use strict";
  history.replaceState(null, "", document.currentScript.dataset.at);
})();
