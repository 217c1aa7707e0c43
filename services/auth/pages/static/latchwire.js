// latchwire.js: a fetch that outlives the access token.
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
// A 401 whose X-Latchwire-Reason is token_expired, or token_revoked (the person's roles changed and the
// session goes on), is answered by one POST /auth/refresh, shared by every request that waits for it (and
// by other tabs where the browser has Web Locks), and by one repeat of the request. Every other answer is handed on as it came. No dependency, nothing stored
// but the time of the last renewal.
(function (scope) {
  "use strict";

  const MARK = "latchwire-renewed-at";
  const RENEWABLE = ["token_expired", "token_revoked"];

  function create(env) {
    const plainFetch = env.fetch;
    const refreshURL = env.refreshURL || "/auth/refresh";
    // Cookies go to our own origin by themselves, and to another one when they are told to.
    const credentials = env.elsewhere ? "include" : "same-origin";
    let renewal = null;
    let renewedAt = 0;

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

    return { fetch: latchFetch };
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
  });
  if (script && script.dataset.patch === "fetch") scope.fetch = scope.latchwire.fetch;
})(globalThis);
