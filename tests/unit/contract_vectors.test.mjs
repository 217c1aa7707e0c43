// Run by test_contract_vectors.py: the reader in another language agrees with every vector.
import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import { readAssertion } from "../../examples/node_reader/assertion.mjs";
import { lookups, recordKey, refusedBy, textKey, unpackRecord } from "../../examples/node_reader/reader.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../docs/contract-vectors.json", import.meta.url)));
const key = Buffer.from(vectors.blocklist_key, "base64url");
const bytes = (hex) => Buffer.from(hex, "hex");

test("record keys", () => {
  assert.ok(vectors.record_keys.length >= 25);
  for (const { scope, id, key: expected } of vectors.record_keys) assert.equal(recordKey(key, scope, id), expected);
});

test("records", () => {
  for (const { packed, until, sessions_before, tokens_before } of vectors.records) {
    const found = unpackRecord(bytes(packed));
    assert.deepEqual(found, { until, sessionsBefore: sessions_before, tokensBefore: tokens_before });
  }
  for (const packed of vectors.unreadable_records) assert.throws(() => unpackRecord(bytes(packed)));
});

test("merges take the greater of each field", () => {
  for (const { a, b, merged } of vectors.merges) {
    const [one, other, both] = [a, b, merged].map((hex) => unpackRecord(bytes(hex)));
    for (const name of Object.keys(both)) assert.equal(both[name], Math.max(one[name], other[name]));
  }
});

test("decisions", () => {
  assert.ok(vectors.decisions.some(({ refused_by }) => refused_by) && vectors.decisions.some((d) => !d.refused_by));
  for (const { claims, records, now_ms, refused_by } of vectors.decisions) {
    const asked = lookups(key, claims);
    const values = asked.map(([, name]) => (records[name] ? bytes(records[name]) : null));
    assert.equal(refusedBy(asked, values, claims, now_ms), refused_by);
  }
});

test("a snapshot: front, entries, sum", () => {
  const { head, parts, records } = vectors.snapshot;
  const bodies = parts.map(bytes);
  const sum = createHash("sha256").update(Buffer.concat(bodies)).digest("hex");
  assert.deepEqual([head.sha256, head.parts, head.version], [sum, bodies.length, 1]);
  assert.deepEqual(Object.fromEntries(bodies.flatMap((part) => [...entries(part)])), records);
});

function* entries(part) {
  const letter = String.fromCharCode(part[5]);
  assert.deepEqual([part.subarray(0, 4).toString(), part[4]], ["LWBL", 1]);
  const width = letter === "u" ? 40 : 24;
  for (let at = 18; at < part.length; at += width) {
    const time = (offset) => (offset < width ? Number(part.readBigUInt64BE(at + offset)) : 0);
    const times = { until: time(16), sessions_before: time(24), tokens_before: time(32) };
    yield [textKey(letter, part.subarray(at, at + 16)), times];
  }
}

test("documents: what an operator did not sign as it is does not count", () => {
  const { operator_jwks, name, cases } = vectors.documents;
  for (const { case: label, jws, generation } of cases) assert.equal(believed(jws, operator_jwks, name), generation, label);
});

test("assertions: who calls, or why that is not believed", () => {
  const { edges_jwks, issuer, audience, cases } = vectors.assertions;
  assert.ok(cases.some(({ refused }) => refused) && cases.some(({ refused }) => !refused));
  for (const { case: label, assertion, now_ms, ...expected } of cases) {
    const found = readAssertion(assertion, { keys: edges_jwks.keys, issuer, audience, nowMs: now_ms });
    const { refused, sub, service, actors } = found;
    assert.deepEqual(refused ? { refused } : { refused, sub, service, actors }, expected, label);
  }
});

function believed(jws, jwks, name) {
  const [header, payload, signature] = jws.split(".");
  if ([header, payload, signature].some((part) => Buffer.from(part, "base64url").toString("base64url") !== part)) return null;
  const { alg, typ, kid, ...rest } = JSON.parse(Buffer.from(header, "base64url"));
  const jwk = jwks.keys.find((one) => one.kid === kid);
  if (alg !== "EdDSA" || typ !== "latchwire-document+jws" || !jwk || Object.keys(rest).length) return null;
  const signed = Buffer.from(`${header}.${payload}`);
  if (!verify(null, signed, createPublicKey({ key: jwk, format: "jwk" }), Buffer.from(signature, "base64url"))) return null;
  const body = JSON.parse(Buffer.from(payload, "base64url"));
  return body.name === name && Number.isInteger(body.generation) ? body.generation : null;
}
