// Run by test_contract_vectors.py: the reader in another language agrees with every vector.
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import { lookups, recordKey, refusedBy, unpackRecord } from "../../examples/node_reader/reader.mjs";

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

test("documents: what an operator did not sign as it is does not count", () => {
  const { operator_jwks, name, cases } = vectors.documents;
  for (const { case: label, jws, generation } of cases) assert.equal(believed(jws, operator_jwks, name), generation, label);
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
