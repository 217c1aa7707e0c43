// latchwire.js: a fetch, and forms, that outlive the access token.
//
//   <script src="/auth/latchwire.js"></script>                      latchwire.fetch("/api/things")
//   <script src="/auth/latchwire.js" data-patch="fetch"></script>   fetch("/api/things")
//
// On another host that shares the login (LATCHWIRE_COOKIE_DOMAIN) the script comes from where people log in,
// and renews there:
//
//   <script src="https://auth.acme.com/auth/latchwire.js"></script>
//   latchwire.fetch("https://api.acme.com/things", { credentials: "include" })
//
// With data-patch="forms" (or "fetch forms") a form that is posted waits until the session is renewed, because a
// form that an edge refuses is lost: browsers send it nowhere again. At most one renewal in half a minute; when
// it fails or takes three seconds, the form is sent as it would have been.
//
// A 401 whose X-Latchwire-Reason is token_expired, or token_revoked (the person's roles changed and the
// session goes on), is answered by one POST /auth/refresh, shared by every request that waits for it (and
// by other tabs where the browser has Web Locks), and by one repeat of the request. Every other answer is handed on as it came. No dependency, nothing stored
// but the time of the last renewal.
(function (scope) {
  "use strict";

  const MARK = "latchwire-renewed-at";
  const RENEWABLE = ["token_expired", "token_revoked"];
  const FRESH_MS = 30_000;
  const PATIENCE_MS = 3_000;

  function create(env) {
    const plainFetch = env.fetch;
    const refreshURL = env.refreshURL || "/auth/refresh";
    // Cookies go to our own origin by themselves, and to another one when they are told to.
    const credentials = env.elsewhere ? "include" : "same-origin";
    let renewal = null;
    let renewedAt = 0;
    const held = new Set();
    let sending = null;

    function renewable(response) {
      return response.status === 401 && RENEWABLE.includes(response.headers.get("X-Latchwire-Reason"));
    }

    // Another request may have renewed while this one was under way, or another tab while this one
    // waited for the lock.
    function renewedSince(time) {
      if (renewedAt > time) return true;
      try {
        return Number(env.storage.getItem(MARK)) > time;
      } catch {
        return false; // storage is switched off or not there: renew for ourselves
      }
    }

    function mark() {
      renewedAt = env.now();
      try {
        env.storage.setItem(MARK, String(renewedAt));
      } catch {
        // the mark only saves a request
      }
    }

    async function post() {
      const response = await plainFetch(refreshURL, {
        method: "POST",
        credentials,
        cache: "no-store",
        headers: { "Content-Type": "application/json" },
        body: "{}",
      });
      if (response.ok) mark();
      return response.ok;
    }

    function renew(since) {
      if (renewal === null) {
        const turn = () => (renewedSince(since) ? true : post());
        renewal = (env.locks ? env.locks.request("latchwire-refresh", turn) : Promise.resolve(turn()))
          .catch(() => false)
          .finally(() => {
            renewal = null;
          });
      }
      return renewal;
    }

    async function latchFetch(input, init) {
      const request = new env.Request(input, init);
      // A body can be read once, so the repeat is put aside before the first try.
      const repeat = request.clone();
      const since = env.now();
      const response = await plainFetch(request);
      if (!renewable(response) || !(await renew(since))) return response;
      return plainFetch(repeat);
    }

    // Whether a form, sent now, would better wait. What the token is worth no script can see.
    function isStale() {
      return !renewedSince(env.now() - FRESH_MS);
    }

    function renewed() {
      const patience = new Promise((resolve) => env.setTimeout(resolve, PATIENCE_MS));
      return Promise.race([renew(env.now()), patience]);
    }

    // Before any listener of the page, so that those run once, when the form is really sent.
    function holdForm(event) {
      if (event.defaultPrevented || !event.isTrusted) return; // the browser does not send it: neither do we
      const { target: form, submitter } = event;
      if (form === sending || !isPostedHome(form, submitter, env.page())) return;
      if (!held.has(form) && !isStale()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (held.has(form)) return; // pressed twice
      held.add(form);
      renewed().finally(() => {
        held.delete(form);
        sending = form;
        form.requestSubmit(submitter && submitter.form === form ? submitter : null);
        sending = null;
      });
    }

    return { fetch: latchFetch, holdForm };
  }

  // To the *page*'s own host: what another one does with a login is not ours to know. By attributes, because a
  // field that is named "action" hides the property.
  function isPostedHome(form, submitter, page) {
    const said = (name) => (submitter && submitter.getAttribute(`form${name}`)) || form.getAttribute(name) || "";
    if (said("method").toLowerCase() !== "post") return false;
    try {
      return new URL(said("action"), page.base).origin === page.origin;
    } catch {
      return false; // an address that is none
    }
  }

  function storage() {
    try {
      return scope.localStorage;
    } catch {
      return undefined;
    }
  }

  // The origin that served this script is the one that renews, unless data-auth names another; a script that
  // has no address (bundled into the page) goes by the page's.
  function whereFrom(script, base) {
    return new URL((script && (script.dataset.auth || script.src)) || base, base);
  }

  if (typeof module === "object" && module.exports) {
    module.exports = { create, whereFrom };
    return;
  }
  const script = scope.document.currentScript;
  const home = whereFrom(script, scope.document.baseURI);
  scope.latchwire = create({
    refreshURL: new URL("/auth/refresh", home).href,
    elsewhere: home.origin !== scope.origin,
    fetch: scope.fetch.bind(scope),
    Request: scope.Request,
    locks: scope.navigator.locks,
    storage: storage(),
    now: Date.now,
    setTimeout: scope.setTimeout.bind(scope),
    page: () => ({ base: scope.document.baseURI, origin: scope.origin }),
  });
  const patch = ((script && script.dataset.patch) || "").split(" ");
  if (patch.includes("fetch")) scope.fetch = scope.latchwire.fetch;
  if (patch.includes("forms")) scope.addEventListener("submit", scope.latchwire.holdForm, true);
})(globalThis);
