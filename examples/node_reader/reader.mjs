// Is this token revoked? Asked of the copy in Redis that docs/contract.md describes: no NATS, no Python.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { pathToFileURL } from "node:url";

const LETTERS = { token: "j", session: "s", subject: "u", service: "v", key: "k" };
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** One letter for the scope and 26 of base 32: 128 bits of a keyed hash of whom the record is about. */
export function recordKey(blocklistKey, scope, id) {
  const digest = createHmac("sha256", blocklistKey).update(`bl/v1|${scope}|${id}`).digest();
  return textKey(LETTERS[scope], digest.subarray(0, 16));
}
export function textKey(letter, digest) {
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("").padEnd(130, "0");
  return letter + bits.match(/.{5}/g).map((five) => BASE32[parseInt(five, 2)]).join("");
}

/** The three times (Unix ms) in 25 bytes. Whoever cannot read a record must not let its token through. */
export function unpackRecord(bytes) {
  if (bytes.length !== 25 || bytes[0] !== 1) throw new Error("not a version 1 record");
  const [until, sessionsBefore, tokensBefore] = [1, 9, 17].map((at) => Number(bytes.readBigUInt64BE(at)));
  return { until, sessionsBefore, tokensBefore };
}

/** What to look up for a verified token; *claims* are its payload and the *kid* of its header. */
export function lookups(blocklistKey, claims) {
  const names = [["token", "jti"], ["session", "sid"], ["key", "kid"], ["service", "client_id"]];
  return [...names, ["subject", "sub"], ["subject", "email"]].map(([scope, name]) => [scope, claims[name]]).filter(([, id]) => id).map(([scope, id]) => [scope, recordKey(blocklistKey, scope, id)]);
}

/** The scope of the first record that refuses the token, or null. *values*: record bytes or null, in order. */
export function refusedBy(lookups, values, claims, nowMs) {
  for (const [index, [scope]] of lookups.entries()) {
    if (!values[index]) continue;
    const record = unpackRecord(values[index]);
    const dated = claims.sst <= record.sessionsBefore || claims.iat_ms <= record.tokensBefore;
    if (scope === "subject" ? dated : nowMs <= record.until) return scope;
  }
  return null;
}

/** One MGET, so that all values are of one moment. A real service uses its Redis client here. */
function mget(url, keys) {
  const words = ["MGET", ...keys].map((word) => `$${word.length}\r\n${word}\r\n`);
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = createConnection(new URL(url).port, new URL(url).hostname, () => socket.write(`*${words.length}\r\n${words.join("")}`));
    socket.setTimeout(2000, () => socket.destroy(new Error("Redis does not answer")));
    socket.on("error", reject);
    socket.on("data", (data) => {
      received = Buffer.concat([received, data]);
      const values = parse(received, keys.length);
      if (values) socket.end(() => resolve(values));
    });
  });
}

/** RESP: an array of bulk strings (`$-1`: not there), or null while some of it is still missing. */
function parse(bytes, count) {
  if (bytes.length && bytes[0] !== 42) throw new Error(bytes.toString());
  let [at, values] = [bytes.indexOf("\r\n") + 2, []];
  while (at > 1 && values.length < count) {
    const end = bytes.indexOf("\r\n", at);
    const length = Number(bytes.subarray(at + 1, end));
    if (end < 0 || (length >= 0 && bytes.length < end + length + 4)) return null;
    values.push(length < 0 ? null : bytes.subarray(end + 2, end + 2 + length));
    at = length < 0 ? end + 2 : end + length + 4;
  }
  return values.length === count ? values : null;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const claims = JSON.parse(readFileSync(process.stdin.fd, "utf8"));
  const asked = lookups(Buffer.from(readFileSync(process.argv[3], "ascii").trim(), "base64url"), claims);
  const [trusted, ...values] = await mget(process.argv[2], ["lw:bl:trusted", ...asked.map(([, key]) => `lw:bl:${key}`)]);
  const scope = trusted && refusedBy(asked, values, claims, Date.now());
  console.log(!trusted ? "unknown" : scope ? `refused ${scope}` : "allowed"); // unknown: do not let it through
}
