"use strict";
// Run by test_latchwire_js.py: each case is one promise of /auth/latchwire.js.
const assert = require("node:assert/strict");
const path = require("node:path");
const test = require("node:test");
const fs = require("node:fs");
const vm = require("node:vm");

const FILE = path.join(__dirname, "../../services/auth/pages/static/latchwire.js");
const { create } = require(FILE);

function memory() {
  const values = new Map();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => values.set(key, value) };
}

// One lock at a time, first come first served, as Web Locks in one browser.
function webLocks() {
  let last = Promise.resolve();
  return {
    request(_name, turn) {
      const mine = last.then(turn);
      last = mine.catch(() => {});
      return mine;
    },
  };
}

function refusal(reason) {
  return new Response(null, { status: 401, headers: { "X-Latchwire-Reason": reason } });
}

// A server whose access token is fresh or not; it counts what it is asked.
function server({ fresh = false, renewable = true, reason = "token_expired" } = {}) {
  const state = { fresh, calls: [], renewals: 0, time: 1000 };
  state.fetch = async (input, init) => {
    const request = input instanceof Request ? input : new Request(new URL(input, "http://site"), init);
    state.time += 1;
    if (new URL(request.url).pathname === "/auth/refresh") {
      state.renewals += 1;
      assert.equal(request.method, "POST");
      if (renewable instanceof Error) throw renewable;
      state.fresh = renewable;
      return new Response(null, { status: renewable ? 200 : 401 });
    }
    const fresh = state.fresh;
    state.calls.push({ method: request.method, body: await request.text(), mark: request.headers.get("X-Mark") });
    return fresh ? new Response("ok") : refusal(reason);
  };
  return state;
}

function client(state, extra = {}) {
  return create({ fetch: state.fetch, Request, now: () => state.time, storage: memory(), ...extra });
}

test("a fresh token costs one request", async () => {
  const state = server({ fresh: true });
  const answer = await client(state).fetch("http://site/api");
  assert.equal(answer.status, 200);
  assert.deepEqual([state.calls.length, state.renewals], [1, 0]);
});

test("an expired token is renewed and the request repeated whole", async () => {
  const state = server();
  const answer = await client(state).fetch("http://site/api", { method: "POST", body: "a=1", headers: { "X-Mark": "m" } });
  assert.equal(answer.status, 200);
  assert.equal(state.renewals, 1);
  assert.deepEqual(state.calls, [
    { method: "POST", body: "a=1", mark: "m" },
    { method: "POST", body: "a=1", mark: "m" },
  ]);
});

test("a Request object is repeated as well", async () => {
  const state = server();
  const answer = await client(state).fetch(new Request("http://site/api", { method: "PUT", body: "b" }));
  assert.equal(answer.status, 200);
  assert.deepEqual(state.calls.map((c) => c.body), ["b", "b"]);
});

test("many requests at once share one renewal", async () => {
  const state = server();
  const { fetch } = client(state);
  const answers = await Promise.all(Array.from({ length: 20 }, () => fetch("http://site/api")));
  assert.ok(answers.every((a) => a.status === 200));
  assert.equal(state.renewals, 1);
});

test("two tabs share one renewal where the browser has locks", async () => {
  const state = server();
  const shared = { locks: webLocks(), storage: memory() };
  const answers = await Promise.all([client(state, shared), client(state, shared)].map((c) => c.fetch("http://site/api")));
  assert.ok(answers.every((a) => a.status === 200));
  assert.equal(state.renewals, 1);
});

test("a slow request does not renew again what was renewed meanwhile", async () => {
  const state = server();
  const plain = state.fetch;
  let release;
  const gate = new Promise((resolve) => { release = resolve; });
  state.fetch = async (input, init) => {
    const answer = await plain(input, init);
    if (input.url === "http://site/slow" && answer.status === 401) await gate;
    return answer;
  };
  const { fetch } = client(state, { storage: undefined });
  const slow = fetch("http://site/slow");
  await fetch("http://site/api");
  release();
  assert.equal((await slow).status, 200);
  assert.equal(state.renewals, 1);
});

test("a token that says what is true no more is renewed as well", async () => {
  const state = server({ reason: "token_revoked" });
  const answer = await client(state).fetch("http://site/api");
  assert.equal(answer.status, 200);
  assert.deepEqual([state.calls.length, state.renewals], [2, 1]);
});

for (const reason of ["no_credentials", "token_invalid"]) {
  test(`a 401 for ${reason} is handed on untouched`, async () => {
    const state = server({ reason });
    const answer = await client(state).fetch("http://site/api");
    assert.equal(answer.status, 401);
    assert.deepEqual([state.calls.length, state.renewals], [1, 0]);
  });
}

test("a session that is over is asked about once and its 401 handed on", async () => {
  const state = server({ renewable: false });
  const answer = await client(state).fetch("http://site/api");
  assert.equal(answer.status, 401);
  assert.deepEqual([state.calls.length, state.renewals], [1, 1]);
});

test("a network that fails during the renewal gives the first answer, not an exception", async () => {
  const state = server({ renewable: new TypeError("network") });
  const answer = await client(state).fetch("http://site/api");
  assert.equal(answer.status, 401);
});

test("a repeat that is refused again is not repeated for ever", async () => {
  const state = server();
  const plain = state.fetch;
  state.fetch = async (input, init) => {
    const answer = await plain(input, init);
    state.fresh = false;
    return answer;
  };
  const answer = await client(state).fetch("http://site/api");
  assert.equal(answer.status, 401);
  assert.deepEqual([state.calls.length, state.renewals], [2, 1]);
});

test("a later expiry is renewed anew", async () => {
  const state = server();
  const { fetch } = client(state);
  await fetch("http://site/api");
  state.fresh = false;
  state.time += 900_000;
  assert.equal((await fetch("http://site/api")).status, 200);
  assert.equal(state.renewals, 2);
});

test("storage that is switched off does no harm", async () => {
  const state = server();
  const off = { getItem() { throw new Error("denied"); }, setItem() { throw new Error("denied"); } };
  assert.equal((await client(state, { storage: off, locks: webLocks() }).fetch("http://site/api")).status, 200);
});

function inPage(dataset, { origin = "http://site", src = "http://site/auth/latchwire.js" } = {}) {
  const state = server();
  const posts = [];
  const fetch = (input, init) => {
    if (init && init.method === "POST") posts.push([String(input), init.credentials]);
    return state.fetch(input, init);
  };
  const document = { currentScript: src === null ? null : { dataset, src }, baseURI: `${origin}/app/page.html` };
  const heard = [];
  const page = { fetch, origin, document, Request, Response, URL, navigator: {}, localStorage: memory() };
  page.setTimeout = setTimeout;
  page.addEventListener = (...how) => heard.push(how);
  page.globalThis = page;
  vm.runInNewContext(fs.readFileSync(FILE, "utf8"), page);
  return { page, state, fetch, posts, heard };
}

test("in a page it offers latchwire.fetch and leaves fetch alone", () => {
  const { page, fetch } = inPage({});
  assert.equal(typeof page.latchwire.fetch, "function");
  assert.equal(page.fetch, fetch);
});

test("with data-patch it takes the place of fetch", async () => {
  const { page, state } = inPage({ patch: "fetch" });
  assert.equal(page.fetch, page.latchwire.fetch);
  assert.equal((await page.fetch("http://site/api")).status, 200);
  assert.equal(state.renewals, 1);
});

const HOMES = [
  ["its own origin", {}, {}, ["http://site/auth/refresh", "same-origin"]],
  ["where the script came from", {}, { src: "http://auth.house/auth/latchwire.js?v=1" }, ["http://auth.house/auth/refresh", "include"]],
  ["the page's origin when it was bundled", {}, { src: null }, ["http://site/auth/refresh", "same-origin"]],
  ["the page's origin when it stands in the page", {}, { src: "" }, ["http://site/auth/refresh", "same-origin"]],
  ["where data-auth says", { auth: "http://auth.house" }, { src: "http://cdn/x.js" }, ["http://auth.house/auth/refresh", "include"]],
  ["another port, which is another origin", {}, { src: "http://site:81/auth/latchwire.js" }, ["http://site:81/auth/refresh", "include"]],
];
for (const [where, dataset, place, expected] of HOMES) {
  test(`it renews at ${where}`, async () => {
    const { page, posts } = inPage(dataset, place);
    assert.equal((await page.latchwire.fetch("http://site/api")).status, 200);
    assert.deepEqual(posts, [expected]);
  });
}

test("it renews where it came from for a request to a third host", async () => {
  const { page, state, posts } = inPage({}, { origin: "http://app.house", src: "http://auth.house/auth/latchwire.js" });
  const answer = await page.latchwire.fetch("http://api.house/things", { credentials: "include" });
  assert.equal(answer.status, 200);
  assert.deepEqual(posts, [["http://auth.house/auth/refresh", "include"]]);
  assert.equal(state.calls.length, 2);
});

// A form of a page, and what becomes of it; `press` is what a browser does when somebody does.
function formOf(state, attributes = { method: "post" }, extra = {}) {
  state.time += 1_000_000; // long after the last renewal
  const sent = [];
  const page = { base: "http://site/app", origin: "http://site" };
  const env = { page: () => page, setTimeout: () => {}, ...extra };
  const { holdForm } = client(state, env);
  const form = { getAttribute: (name) => attributes[name] ?? null };
  form.press = (submitter = null, how = {}) => {
    const event = { target: form, submitter, isTrusted: true, defaultPrevented: false, ...how, stopped: false, preventDefault() {}, stopImmediatePropagation() { this.stopped = true; } };
    holdForm(event);
    if (!event.stopped) sent.push({ submitter, renewals: state.renewals });
  };
  form.requestSubmit = (submitter) => form.press(submitter);
  return { form, sent };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a form that is posted waits for a renewal, and is sent once", async () => {
  const state = server();
  const { form, sent } = formOf(state);
  const button = { form, getAttribute: () => null };
  form.press(button);
  form.press(button);
  assert.deepEqual(sent, []);
  await settled();
  assert.deepEqual(sent, [{ submitter: button, renewals: 1 }]);
});

test("the next form within half a minute is sent at once, a later one renews again", async () => {
  const state = server();
  const { form, sent } = formOf(state);
  form.press();
  await settled();
  form.press();
  assert.deepEqual([sent.length, state.renewals], [2, 1]);
  state.time += 31_000;
  form.press();
  await settled();
  assert.deepEqual([sent.length, state.renewals], [3, 2]);
});

const NOT_HELD = [
  ["a search", { method: "get" }],
  ["a form without a method", {}],
  ["a dialog", { method: "dialog" }],
  ["a form for another host", { method: "post", action: "http://elsewhere/x" }],
  ["a form whose address is none", { method: "post", action: "http://" }],
];
for (const [what, attributes] of NOT_HELD) {
  test(`${what} is left alone`, async () => {
    const state = server();
    const { form, sent } = formOf(state, attributes);
    form.press();
    assert.deepEqual(sent, [{ submitter: null, renewals: 0 }]);
  });
}

// What a browser would not send, whatever becomes of the event: such a form must not be posted later.
const NOT_SENT = [
  ["a script dispatched the event", { isTrusted: false }],
  ["the page cancelled it before", { defaultPrevented: true }],
];
for (const [what, how] of NOT_SENT) {
  test(`nothing is sent where ${what}`, async () => {
    const state = server();
    const { form, sent } = formOf(state);
    let posted = 0;
    form.requestSubmit = () => posted++;
    form.press(null, how);
    await settled();
    assert.deepEqual([posted, state.renewals, sent.length], [0, 0, 1], "the event went on to the page's own listeners");
  });
}

test("the button says how and where, if it does", async () => {
  const state = server();
  const { form, sent } = formOf(state, { method: "post" });
  form.press({ form, getAttribute: (name) => ({ formmethod: "get" })[name] ?? null });
  form.press({ form, getAttribute: (name) => ({ formaction: "http://elsewhere/" })[name] ?? null });
  assert.deepEqual([sent.length, state.renewals], [2, 0]);
});

for (const renewable of [false, new TypeError("network")]) {
  test(`a form is sent also where the renewal ends with ${renewable}`, async () => {
    const state = server({ renewable });
    const { form, sent } = formOf(state);
    form.press();
    await settled();
    assert.equal(sent.length, 1);
  });
}

test("a form does not wait for ever", async () => {
  const state = server();
  state.fetch = () => new Promise(() => {});
  const { form, sent } = formOf(state, { method: "post" }, { setTimeout: (done) => done() });
  form.press();
  await settled();
  assert.equal(sent.length, 1);
});

const PATCHES = [[undefined, false, false], ["fetch", true, false], ["forms", false, true], ["fetch forms", true, true]];
for (const [patch, fetches, forms] of PATCHES) {
  test(`data-patch=${patch} takes what it names`, () => {
    const { page, fetch, heard } = inPage({ patch });
    assert.equal(page.fetch !== fetch, fetches);
    assert.deepEqual(heard, forms ? [["submit", page.latchwire.holdForm, true]] : []);
  });
}
