// api_description - server/openapi.yaml for tests: every answer that goes through checked() is one that the description has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { parse } from "yaml";

export const description = parse(readFileSync("server/openapi.yaml", "utf8"));
const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);

// OpenAPI 3.0's nullable, as JSON schema has it.
const translate = (value) => {
    if (Array.isArray(value)) return value.map(translate);
    if (!value || typeof value !== "object") return value;
    const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, translate(inner)]));
    if (copy.nullable && typeof copy.type === "string") copy.type = [copy.type, "null"];
    delete copy.nullable;
    return copy;
};
ajv.addSchema({ $id: "api", ...translate(description) });

export const resolve = (value) => {
    while (value?.$ref) value = value.$ref.slice(2).split("/").reduce((at, key) => at[key.replace(/~1/g, "/")], description);
    return value;
};
const schemas = new Map();
const validator = (schema) => {
    const key = JSON.stringify(schema);
    if (!schemas.has(key)) schemas.set(key, ajv.compile(translate(JSON.parse(key.replaceAll('"#/', '"api#/')))));
    return schemas.get(key);
};

// validate - whether a value is of a schema of the description; throws what is wrong.
export function validate(schema, value, what) {
    const check = validator(schema);
    if (!check(value)) throw new Error(`${what}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(value).slice(0, 400)}`);
}

// templateOf - the described path that a URL's path is.
export function templateOf(path) {
    const plain = path.replace(/^\/api\/v1\/network/, "");
    const fits = (template, at) => new RegExp(`^${template.replace(/[.]/g, "\\.").replace(/\{[^}]*\}/g, "[^/]+")}$`).test(at);
    return Object.keys(description.paths).find((template) => fits(template, plain))
        ?? Object.keys(description.paths).find((template) => fits(template, path));
}

// checked - fetch, and the answer held against the description. Gives { status, headers, text, json }.
export async function checked(base, method, target, options = {}) {
    const response = await fetch(base + target, { method, ...options });
    const text = await response.text();
    const path = target.split("?")[0];
    const what = `${method} ${path} ${response.status}`;
    const operation = description.paths[templateOf(path)]?.[method.toLowerCase()];
    assert.ok(operation, `${what}: the description has no such operation`);
    assert.match(response.headers.get("x-trace-id"), /^[0-9a-f]{32}$/, what);
    for (const name of ["x-content-type-options", "content-security-policy", "referrer-policy"]) assert.ok(response.headers.get(name), `${what}: ${name}`);
    const described = resolve(operation.responses[response.status]);
    assert.ok(described, `${what}: the description has no such status; the answer: ${text.slice(0, 300)}`);
    let json = null;
    if (described.content) {
        const type = response.headers.get("content-type").split(";")[0];
        const media = described.content[type];
        assert.ok(media, `${what}: the description has no ${type}`);
        if (type === "application/json") {
            json = JSON.parse(text);
            validate(media.schema, json, what);
        }
    } else {
        assert.equal(text, "", `${what}: a body that is not described`);
    }
    for (const [name, header] of Object.entries(described.headers ?? {})) {
        const value = response.headers.get(name);
        assert.ok(value, `${what}: ${name} is missing`);
        const schema = resolve(header).schema;
        validate(schema, schema.type === "integer" ? Number(value) : value, `${what}: ${name}`);
    }
    return { status: response.status, headers: response.headers, text, json };
}
