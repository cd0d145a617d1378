// jwt - JSON Web Tokens for tests, right and wrong ones, made with node's own cryptography.
import { createHmac, generateKeyPairSync, sign } from "node:crypto";

export const base64url = (value) => Buffer.from(typeof value === "string" || Buffer.isBuffer(value) ? value : JSON.stringify(value)).toString("base64url");
export const now = () => Math.floor(Date.now() / 1000);

// signers - by algorithm: a function from the signed text to the signature.
export const hs256 = (secret, hash = "sha256") => (text) => createHmac(hash, secret).update(text).digest("base64url");
export const rs256 = (key) => (text) => sign("sha256", Buffer.from(text), key).toString("base64url");
export const es256 = (key) => (text) => sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");

// make - header and claims may be objects, or texts that are used as they are.
export function make(header, claims, signer) {
    const head = `${base64url(header)}.${base64url(claims)}`;
    return `${head}.${signer(head)}`;
}

export const rsaKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
export const ecKey = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve });
export const jwk = (pair, kid, more = {}) => ({ ...pair.publicKey.export({ format: "jwk" }), kid, use: "sig", ...more });
