// server_rest - every route of the REST API, right and wrong: health, metrics, connect tokens with and without JWT, files.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { answer, count, exchange, scratch, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const folder = scratch();
let server;
let production;

before(async () => {
    const web = path.join(folder, "web");
    mkdirSync(path.join(web, "assets"), { recursive: true });
    writeFileSync(path.join(web, "index.html"), "<!doctype html><title>arena</title>");
    writeFileSync(path.join(web, "assets/app.js"), "console.log('arena')");
    writeFileSync(path.join(web, "assets/core.wasm"), Buffer.from([0, 97, 115, 109, 1, 0, 0, 0]));
    writeFileSync(path.join(web, "assets/.hidden.js"), "secret");
    writeFileSync(path.join(web, "assets/notes.xyz"), "no type");
    writeFileSync(path.join(folder, "outside.js"), "outside");
    symlinkSync(path.join(folder, "outside.js"), path.join(web, "assets/link.js"));
    server = await start(["--web-directory", web, "--cors-origins", "https://studio.example"]);
    production = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--jwt-audience", "arena",
                              "--public-urls", "udp://game.example:7777,wss://game.example/ws", "--cors-origins", "*",
                              "--no-metrics-enabled", "--web-directory", path.join(folder, "nowhere")],
                             { JWT_SECRET: SECRET });
});

after(async () => {
    await server?.stop();
    await production?.stop();
    rmSync(folder, { recursive: true, force: true });
});

const isError = async (response, status, code) => {
    assert.equal(response.status, status);
    assert.match(response.headers.get("content-type"), /^application\/json/);
    const error = await response.json();
    assert.deepEqual(Object.keys(error).sort(), ["code", "details", "message", "trace_id"]);
    assert.equal(error.code, code);
    assert.match(error.trace_id, /^[0-9a-f]{32}$/);
    assert.ok(error.message.length > 0);
    return error;
};

test("health tells how the server is", async () => {
    await until("ticks", async () => (await (await fetch(server.base + "/health")).json()).tick.p50_us >= 0);
    const response = await fetch(server.base + "/health");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    const health = await response.json();
    assert.equal(health.status, "ok");
    assert.equal(health.mode, "development");
    assert.match(health.version, /^\d+\.\d+\.\d+$/);
    assert.ok(health.uptime_s > 0 && health.uptime_s < 60);
    assert.equal(health.websockets, 0);
    assert.deepEqual(health.peers, { sessions: 0, connected: 0, udp: 0, websocket: 0 });
    assert.ok(health.memory.resident_bytes > 1e6 && health.memory.library_bytes > 0);
    assert.equal(health.tick.hz, 60);
    const later = await until("the next figures", async () => {
        const next = await (await fetch(server.base + "/health")).json();
        return next.tick.number > health.tick.number ? next : null;
    });
    assert.ok(later.tick.max_us < 1e6);
});

test("health stands below the seeds' prefix, too, and answers HEAD without a body", async () => {
    assert.equal((await (await fetch(server.base + "/api/v1/network/health")).json()).status, "ok");
    const text = await exchange(server.port, "HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const head = answer(text);
    assert.equal(head.status, 200);
    assert.ok(Number(head.headers["content-length"]) > 100);
    assert.ok(text.endsWith("\r\n\r\n"));
});

test("metrics are what Prometheus reads", async () => {
    const response = await fetch(server.base + "/metrics");
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    assert.match(text, /^necpnet_peers_connected\{transport="udp"\} 0$/m);
    assert.match(text, /^necpnet_tick_seconds_bucket\{le="\+Inf"\} \d+$/m);
    assert.match(text, /^necpnet_dropped_total\{reason="TOKEN_EXPIRED"\} 0$/m);
    const buckets = [...text.matchAll(/_bucket\{le="[^"]*"\} (\d+)/g)].map((match) => Number(match[1]));
    assert.deepEqual(buckets, [...buckets].sort((a, b) => a - b), "buckets are cumulative");
    const names = [...text.matchAll(/^([a-z_]+)(?:\{| )/gm)].map((match) => match[1]);
    for (const name of names) assert.match(text, new RegExp(`^# HELP ${name.replace(/_(bucket|sum|count)$/, "")} `, "m"));
    const tool = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8", timeout: 20000 });
    assert.notEqual(tool.error?.code, "ENOENT", "promtool is missing; fix: tools/setup.sh (Debian package prometheus)");
    assert.equal(tool.status, 0, tool.stdout + tool.stderr);
});

test("metrics that are switched off are missing", async () => {
    await isError(await fetch(production.base + "/metrics"), 404, "not_found");
});

test("the game describes itself", async () => {
    const game = await (await fetch(server.base + "/api/v1/game")).json();
    assert.equal(game.game, "arena");
    assert.equal(game.players, 0);
    assert.equal(game.wanderers, 200);
    assert.equal(game.leader, null);
});

test("unknown paths are 404, wrong methods 405 with Allow", async () => {
    for (const at of ["/nothing", "/api", "/api/v2/connect-tokens", "/health/", "/health/x", "/%2e%2e/etc/passwd", "/a%00b"]) {
        await isError(await fetch(server.base + at), 404, "not_found");
    }
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
        const response = await fetch(server.base + "/health", { method });
        assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
        await isError(response, 405, "method_not_allowed");
    }
    for (const method of ["GET", "PUT", "DELETE"]) {
        const response = await fetch(server.base + "/api/v1/connect-tokens", { method });
        assert.equal(response.headers.get("allow"), "POST, OPTIONS");
        await isError(response, 405, "method_not_allowed");
    }
    const index = await fetch(server.base + "/", { method: "POST" });
    await isError(index, 405, "method_not_allowed");
});

test("a trace id is carried on", async () => {
    const trace = "0af7651916cd43dd8448eb211c80319c";
    const response = await fetch(server.base + "/nothing", { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    assert.equal(response.headers.get("x-trace-id"), trace);
    assert.equal((await response.json()).trace_id, trace);
    const wrong = await fetch(server.base + "/nothing", { headers: { traceparent: `00-${"0".repeat(32)}-b7ad6b7169203331-01` } });
    assert.notEqual((await wrong.json()).trace_id, "0".repeat(32));
});

test("pages of listed origins may read answers, others not", async () => {
    const listed = await fetch(server.base + "/health", { headers: { Origin: "https://studio.example" } });
    assert.equal(listed.headers.get("access-control-allow-origin"), "https://studio.example");
    assert.equal(listed.headers.get("access-control-allow-credentials"), "true");
    assert.equal(listed.headers.get("vary"), "Origin");
    const other = await fetch(server.base + "/health", { headers: { Origin: "https://evil.example" } });
    assert.equal(other.headers.get("access-control-allow-origin"), null);
    const any = await fetch(production.base + "/health", { headers: { Origin: "https://evil.example" } });
    assert.equal(any.headers.get("access-control-allow-origin"), "*");
    assert.equal(any.headers.get("access-control-allow-credentials"), null);
    const asked = await fetch(server.base + "/api/v1/connect-tokens", {
        method: "OPTIONS",
        headers: { Origin: "https://studio.example", "Access-Control-Request-Method": "POST" },
    });
    assert.equal(asked.status, 204);
    assert.equal(asked.headers.get("access-control-allow-methods"), "POST, OPTIONS");
    assert.match(asked.headers.get("access-control-allow-headers"), /Authorization/);
});

const post = (base, body, more = {}) => fetch(base + "/api/v1/connect-tokens" + (more.query ?? ""), {
    method: "POST",
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...more.headers },
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
});

test("in development anyone on this machine gets a connect token", async () => {
    const response = await post(server.base, { player: "Ada", transport: "any" });
    assert.equal(response.status, 201);
    const grant = await response.json();
    assert.equal(grant.player, "Ada");
    assert.match(grant.token, /^[A-Za-z0-9_.-]{100,}$/);
    const life = Date.parse(grant.expires_at) - Date.now();
    assert.ok(life > 30000 && life <= 46000, `lives ${life} ms`);
    assert.deepEqual(grant.urls, [`udp://127.0.0.1:${server.udpPort}`, `ws://127.0.0.1:${server.port}/ws`]);
    assert.equal((await post(server.base)).status, 201);
    const another = await (await post(server.base, {})).json();
    assert.notEqual(another.token, grant.token);
});

test("a token's addresses follow the transport and the Host header", async () => {
    const urls = async (body, query) => (await (await post(server.base, body, { query })).json()).urls;
    const udp = `udp://127.0.0.1:${server.udpPort}`;
    const web = `ws://127.0.0.1:${server.port}/ws`;
    assert.deepEqual(await urls({ transport: "udp" }), [udp]);
    assert.deepEqual(await urls({ transport: "websocket" }), [web]);
    assert.deepEqual(await urls({ transport: "udp" }, "?transport=websocket"), [web]);
    assert.deepEqual(await urls(undefined, "?transport=udp"), [udp]);
    const named = answer(await exchange(server.port, "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost:1234\r\nContent-Length: 0\r\n\r\n"));
    assert.deepEqual(JSON.parse(named.body).urls, [`udp://localhost:${server.udpPort}`, "ws://localhost:1234/ws"]);
    const bracketed = answer(await exchange(server.port, "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: [::1]:1234\r\nContent-Length: 0\r\n\r\n"));
    assert.deepEqual(JSON.parse(bracketed.body).urls, [`udp://[::1]:${server.udpPort}`, "ws://[::1]:1234/ws"]);
});

test("another site's name for this machine gets no token", async () => {
    const text = await exchange(server.port, "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n");
    assert.equal(answer(text).status, 403);
    const close = await exchange(server.port, "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost.evil.example\r\nContent-Length: 0\r\n\r\n");
    assert.equal(answer(close).status, 403);
});

test("wrong bodies are named", async () => {
    const cases = [
        ["{", 400, /line 1/], ['{"player":"a","player":"b"}', 400, /stands twice/], ["[]", 400, /object/], ["01", 400, /0/],
        [{ player: 5 }, 400, /player/], [{ player: "x".repeat(25) }, 400, /24 bytes/], [{ player: "a\u0007" }, 400, /player/],
        [{ transport: "tcp" }, 400, /transport/], [{ transport: 1 }, 400, /transport/], [{ name: "x" }, 400, /unknown field/],
        [{ subject: "x".repeat(64) }, 400, /subject/], ['{"player":"\\ud800"}', 400, /surrogate/],
    ];
    for (const [body, status, message] of cases) {
        const error = await isError(await post(server.base, body), status, "bad_request");
        assert.match(error.message, message);
    }
    assert.equal((await isError(await post(server.base, { name: "x" }), 400, "bad_request")).details.field, "name");
    await isError(await post(server.base, {}, { query: "?transport=" + "x".repeat(40) }), 400, "bad_request");
    await isError(await post(server.base, "player=a", { headers: { "Content-Type": "text/plain" } }), 415, "unsupported_media_type");
    await isError(await post(server.base, JSON.stringify({ player: "x".repeat(70000) })), 413, "content_too_large");
});

const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const jwt = (claims, { alg = "HS256", secret = SECRET, hash = "sha256" } = {}) => {
    const head = `${base64url({ alg, typ: "JWT" })}.${base64url(claims)}`;
    return `${head}.${alg === "none" ? "" : createHmac(hash, secret).update(head).digest("base64url")}`;
};
const now = () => Math.floor(Date.now() / 1000);
const claims = (more = {}) => ({ sub: "player-1", iss: "studio", aud: "arena", exp: now() + 60, name: "Grace", ...more });
const ask = (token) => post(production.base, {}, { headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });

test("in production a JWT is wanted", async () => {
    const response = await ask(jwt(claims()));
    assert.equal(response.status, 201);
    const grant = await response.json();
    assert.equal(grant.player, "Grace");
    assert.deepEqual(grant.urls, ["udp://game.example:7777", "wss://game.example/ws"]);
    assert.equal((await ask(jwt(claims({ aud: ["other", "arena"] })))).status, 201);
    assert.equal((await ask(jwt(claims({ nbf: now() - 5 })))).status, 201);
    const none = await ask();
    assert.equal(none.headers.get("www-authenticate"), "Bearer");
    await isError(none, 401, "unauthorized");
});

test("no other JWT is taken", async () => {
    const good = jwt(claims());
    const [head, body, signature] = good.split(".");
    const hostile = {
        "alg none": jwt(claims(), { alg: "none" }),
        "alg none with a signature": `${base64url({ alg: "none" })}.${body}.${signature}`,
        "HS384": jwt(claims(), { alg: "HS384", hash: "sha384" }),
        "HS512": jwt(claims(), { alg: "HS512", hash: "sha512" }),
        "RS256 with the secret": jwt(claims(), { alg: "RS256" }),
        "another secret": jwt(claims(), { secret: SECRET + "x" }),
        "an empty secret": jwt(claims(), { secret: "" }),
        "changed claims": `${head}.${base64url(claims({ sub: "admin" }))}.${signature}`,
        "no signature": `${head}.${body}.`,
        "two parts": `${head}.${body}`,
        "four parts": `${good}.${signature}`,
        "a cut signature": good.slice(0, -3),
        "expired": jwt(claims({ exp: now() - 1 })),
        "no exp": jwt(claims({ exp: undefined })),
        "exp as text": jwt(claims({ exp: String(now() + 60) })),
        "exp 0": jwt(claims({ exp: 0 })),
        "not yet": jwt(claims({ nbf: now() + 600 })),
        "no sub": jwt(claims({ sub: undefined })),
        "empty sub": jwt(claims({ sub: "" })),
        "sub a number": jwt(claims({ sub: 7 })),
        "sub too long": jwt(claims({ sub: "x".repeat(256) })),
        "no iss": jwt(claims({ iss: undefined })),
        "another iss": jwt(claims({ iss: "other" })),
        "no aud": jwt(claims({ aud: undefined })),
        "another aud": jwt(claims({ aud: ["other"] })),
        "not JSON": (() => { const h = `${base64url({ alg: "HS256" })}.${base64url("{")}`; return `${h}.${createHmac("sha256", SECRET).update(h).digest("base64url")}`; })(),
        "garbage": "garbage",
        "base64 with padding": `${head}=.${body}.${signature}`,
        "blanks": `${good} x`,
        "a long one": "a".repeat(7000),
    };
    for (const [name, token] of Object.entries(hostile)) {
        const response = await ask(token);
        assert.equal(response.status, 401, name);
        assert.match(response.headers.get("www-authenticate"), /^Bearer error="invalid_token"$/, name);
        await response.arrayBuffer();
    }
    const scheme = await post(production.base, {}, { headers: { Authorization: `Basic ${good}` } });
    assert.equal(scheme.status, 401);
    assert.ok(!production.stderr().includes(signature), "no credential reaches a log");
    assert.ok(!production.stderr().includes(SECRET), "no secret reaches a log");
});

test("in production the JWT alone says who somebody is", async () => {
    const response = await post(production.base, { subject: "somebody else" }, { headers: { Authorization: `Bearer ${jwt(claims())}` } });
    await isError(response, 400, "bad_request");
});

test("files are served with their types, and again only when changed", async () => {
    const index = await fetch(server.base + "/");
    assert.equal(index.status, 200);
    assert.match(index.headers.get("content-type"), /^text\/html/);
    assert.match(index.headers.get("content-security-policy"), /default-src 'self'/);
    assert.match(await index.text(), /arena/);
    const script = await fetch(server.base + "/assets/app.js");
    assert.match(script.headers.get("content-type"), /^text\/javascript/);
    const wasm = await fetch(server.base + "/assets/core.wasm");
    assert.equal(wasm.headers.get("content-type"), "application/wasm");
    assert.equal((await wasm.arrayBuffer()).byteLength, 8);
    const again = await fetch(server.base + "/assets/app.js", { headers: { "If-None-Match": script.headers.get("etag") } });
    assert.equal(again.status, 304);
    assert.equal((await again.arrayBuffer()).byteLength, 0);
});

test("nothing outside the web directory is served", async () => {
    for (const at of ["/assets/../../outside.js", "/../outside.js", "/assets/link.js", "/assets/.hidden.js", "/assets/notes.xyz", "/assets/",
                      "/assets", "//etc/passwd", "/assets//app.js", "/assets/%61pp.js", "/assets/..%2f..%2foutside.js", "/assets\\app.js",
                      "/assets/./app.js", "/index.html/", "/index.html/x"]) {
        const reply = answer(await exchange(server.port, `GET ${at} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
        assert.equal(reply.status, 404, at);
        assert.ok(!reply.body.includes("outside") && !reply.body.includes("secret"), at);
    }
});

test("a page that is not built says how to build it", async () => {
    const page = await fetch(production.base + "/");
    assert.equal(page.status, 503);
    assert.match(page.headers.get("content-type"), /^text\/html/);
    assert.match(await page.text(), /make wasm/);
});
