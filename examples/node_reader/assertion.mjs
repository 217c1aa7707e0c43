// Who calls this service? X-Latchwire-Assertion read as docs/assertions.md describes it: nothing but Node.
import { createPublicKey, verify } from "node:crypto";

const MAX_BYTES = 8192;
const [MAX_SECONDS, LEEWAY_MS, MAX_ACTORS] = [60, 5000, 4];
const TEXTS = ["iss", "aud", "sub", "sid", "client_id", "jti"];
const MAYBE_EMPTY = ["email", "org", "service"];
const LISTS = ["roles", "permissions", "amr"];
const TIMES = ["auth_time", "iat_ms", "sst", "iat", "exp"];

// Printable: no control character, and no space but the plain one.
const isText = (value) => typeof value === "string" && value && [...value].length <= 255 && !/[\p{C}\p{Z}]/u.test(value.replaceAll(" ", ""));
const refusal = (code) => ({ refused: code });
const INVALID = refusal("token_invalid");

/** The claims of *assertion* with `actors`, or `{refused: code}`. *keys*: of /.well-known/edges/jwks.json, and no others. */
export function readAssertion(assertion, { keys, issuer, audience, nowMs }) {
  const parts = assertion.length <= MAX_BYTES ? assertion.split(".") : [];
  if (parts.length !== 3 || !parts.every(isCanonical)) return INVALID;
  const [header, claims] = parts.slice(0, 2).map(parseObject);
  if (!header || !claims || Object.keys(header).sort().join() !== "alg,kid,typ") return INVALID;
  const jwk = keys.find((one) => one.kid === header.kid);
  if (header.alg !== "EdDSA" || header.typ !== "latchwire-assertion+jwt" || !jwk) return INVALID;
  const [signed, signature] = [Buffer.from(parts.slice(0, 2).join(".")), Buffer.from(parts[2], "base64url")];
  if (!verify(null, signed, createPublicKey({ key: jwk, format: "jwk" }), signature)) return INVALID;
  const actors = readActors(claims.act);
  if (!hasForm(claims) || !actors || claims.iss !== issuer || claims.aud !== audience) return INVALID;
  if (claims.exp <= claims.iat || claims.exp - claims.iat > MAX_SECONDS || !fits(claims, actors)) return INVALID;
  if (nowMs >= claims.exp * 1000 + LEEWAY_MS) return refusal("token_expired");
  return claims.iat * 1000 > nowMs + LEEWAY_MS ? INVALID : { refused: null, ...claims, actors };
}

/** Base64url with one spelling: no padding, no bits left over. */
function isCanonical(part) {
  return part.length > 0 && Buffer.from(part, "base64url").toString("base64url") === part;
}

function parseObject(part) {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url"));
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function hasForm(claims) {
  const lists = LISTS.every((name) => Array.isArray(claims[name]) && claims[name].length <= 64 && claims[name].every(isText));
  const texts = TEXTS.every((name) => isText(claims[name])) && MAYBE_EMPTY.every((name) => claims[name] === "" || isText(claims[name]));
  return lists && texts && TIMES.every((name) => Number.isInteger(claims[name])) && ["user", "service"].includes(claims.token_type);
}

/** The services that passed the caller on, the last one first; null: that is no chain of them. */
function readActors(act) {
  const found = [];
  for (; act !== undefined; act = act.act) {
    if (!act || typeof act !== "object" || !Object.keys(act).every((name) => name === "sub" || name === "act")) return null;
    if (!isText(act.sub) || found.push(act.sub) > MAX_ACTORS) return null;
  }
  return found;
}

/** A person has an address; a service that calls says so twice, and stands last among the actors. */
function fits({ sub, email, roles, org, service, token_type }, actors) {
  if (token_type !== (service ? "service" : "user")) return false;
  if (email) return service === (actors[0] ?? "");
  return !roles.length && !org && service !== "" && service === (actors[0] ?? sub);
}
