// server_tokens - who a JWT says that somebody is: every algorithm, keys that rotate, hostile tokens of every kind, rotation and
// revocation, roles; by REST, and at the WebSocket.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import WebSocket from "ws";
import { checked } from "./api_description.mjs";
import { base64url, ecKey, es256, hs256, jwk, make, now, rs256, rsaKey } from "./jwt.mjs";
import { BUILD, answer, count, exchange, scratch, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const folder = scratch();
const SECRET = Buffer.concat([Buffer.from("raw bytes \0 with a NUL and \xff", "latin1"), randomBytes(32)]);
const keys = { rsa: rsaKey(), ec: ecKey(), other: rsaKey(), next: ecKey(), oct: randomBytes(40) };
const jwks = path.join(folder, "jwks.json");
let server;

const writeKeys = (set) => { // as an operator should: whole or not at all
    writeFileSync(jwks + ".new", typeof set === "string" ? set : JSON.stringify({ keys: set }));
    renameSync(jwks + ".new", jwks);
};
const set = () => [jwk(keys.rsa, "rsa-1", { alg: "RS256" }), jwk(keys.ec, "ec-1"), { kty: "oct", kid: "oct-1", alg: "HS256", k: base64url(keys.oct) },
                   { kty: "OKP", crv: "Ed25519", kid: "not-for-us", x: base64url(randomBytes(32)) }, jwk(keys.other, "enc-1", { use: "enc" })];

before(async () => {
    writeFileSync(path.join(folder, "secret"), SECRET);
    writeKeys(set());
    server = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--jwks-file", jwks, "--jwt-issuer", "studio",
                          "--jwt-audience", "arena", "--rate-token", "0", "--rate-read", "0"],
                         { JWT_SECRET_FILE: path.join(folder, "secret") });
});
after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
});

const claims = (more = {}) => ({ sub: "player-1", iss: "studio", aud: "arena", exp: now() + 300, iat: now() - 5, ...more });
const hs = (more, header = {}) => make({ alg: "HS256", typ: "JWT", ...header }, claims(more), hs256(SECRET));
const bearer = (token) => ({ headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } });
const post = (target, token, body) => checked(server.base, "POST", target,
    { headers: { ...bearer(token).headers, "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) });
const status = async (token) => (await checked(server.base, "GET", "/ws/connections", bearer(token))).status;

test("every algorithm is taken with a key made for it", async () => {
    assert.equal(await status(hs()), 200);
    assert.equal(await status(hs({}, { kid: "whatever the issuer calls it" })), 200);
    assert.equal(await status(make({ alg: "RS256", kid: "rsa-1" }, claims(), rs256(keys.rsa.privateKey))), 200);
    assert.equal(await status(make({ alg: "RS256" }, claims(), rs256(keys.rsa.privateKey))), 200, "the only RS256 key needs no kid");
    assert.equal(await status(make({ alg: "ES256", kid: "ec-1" }, claims(), es256(keys.ec.privateKey))), 200);
    assert.equal(await status(make({ alg: "HS256", kid: "oct-1" }, claims(), hs256(keys.oct))), 200);
    assert.equal(await status(hs({ aud: ["other", "arena"] })), 200);
    assert.equal(await status(hs({ nbf: now() + 10 })), 200, "clocks may differ a little");
});

test("hostile tokens of every kind get 401", async () => {
    const pem = keys.rsa.publicKey.export({ type: "spki", format: "pem" });
    const der = keys.rsa.publicKey.export({ type: "spki", format: "der" });
    const good = hs();
    const [head, body, signature] = good.split(".");
    const deep = (levels) => `{"sub":"player-1","exp":${now() + 300},"iss":"studio","aud":"arena","x":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    const raw = (text, header = '{"alg":"HS256"}') => make(header, text, hs256(SECRET));
    const plain = JSON.stringify(claims());
    const hostile = {
        "alg none": make({ alg: "none" }, claims(), () => ""),
        "alg none with a signature": `${base64url({ alg: "none" })}.${body}.${signature}`,
        "alg None": make({ alg: "None" }, claims(), hs256(SECRET)),
        "alg nOnE and an empty signature": make({ alg: "nOnE" }, claims(), () => "AA"),
        "no alg": make({ typ: "JWT" }, claims(), hs256(SECRET)),
        "alg a number": make({ alg: 256 }, claims(), hs256(SECRET)),
        "HS256 with the RSA key's PEM": make({ alg: "HS256", kid: "rsa-1" }, claims(), hs256(pem)),
        "HS256 with the RSA key's PEM, no kid": make({ alg: "HS256" }, claims(), hs256(pem)),
        "HS256 with the RSA key's DER": make({ alg: "HS256", kid: "rsa-1" }, claims(), hs256(der)),
        "RS256 signed with the secret": make({ alg: "RS256" }, claims(), hs256(SECRET)),
        "RS256 with the EC key's kid": make({ alg: "RS256", kid: "ec-1" }, claims(), rs256(keys.rsa.privateKey)),
        "ES256 with the RSA key's kid": make({ alg: "ES256", kid: "rsa-1" }, claims(), es256(keys.ec.privateKey)),
        "ES256 with a zero signature": make({ alg: "ES256", kid: "ec-1" }, claims(), () => base64url(Buffer.alloc(64))),
        "ES256 with a DER signature": make({ alg: "ES256", kid: "ec-1" }, claims(), rs256(keys.ec.privateKey)),
        "HS384": make({ alg: "HS384" }, claims(), hs256(SECRET, "sha384")),
        "HS512": make({ alg: "HS512" }, claims(), hs256(SECRET, "sha512")),
        "another RSA key": make({ alg: "RS256", kid: "rsa-1" }, claims(), rs256(keys.other.privateKey)),
        "a key that is for encryption": make({ alg: "RS256", kid: "enc-1" }, claims(), rs256(keys.other.privateKey)),
        "an unknown kid": make({ alg: "RS256", kid: "rsa-2" }, claims(), rs256(keys.rsa.privateKey)),
        "a kid that is a path": make({ alg: "HS256", kid: "../../dev/null" }, claims(), hs256("")),
        "a kid that is a number": make({ alg: "HS256", kid: 1 }, claims(), hs256(SECRET)),
        "a key of its own (jwk)": make({ alg: "RS256", jwk: jwk(keys.other, "x") }, claims(), rs256(keys.other.privateKey)),
        "crit": make({ alg: "HS256", crit: ["exp"] }, claims(), hs256(SECRET)),
        "alg twice": raw(plain, '{"alg":"none","alg":"HS256"}'),
        "sub twice": raw(plain.replace("{", '{"sub":"admin",')),
        "role twice": raw(plain.replace("{", '{"role":"player","role":"admin",')),
        "exp twice": raw(plain.replace("{", '{"exp":9999999999,')),
        "NUL in sub": raw(plain.replace("player-1", "player-1\\u0000x")),
        "raw NUL in sub": raw(plain.replace("player-1", "player-1\0x")),
        "broken UTF-8 in sub": make('{"alg":"HS256"}', Buffer.from(plain.replace("player-1", "player-\xff"), "latin1"), hs256(SECRET)),
        "a surrogate half in sub": raw(plain.replace("player-1", "\\ud800")),
        "a control character in sub": raw(plain.replace("player-1", "a\\u0007b")),
        "1,000 levels": raw(deep(1000)),
        "40 levels": raw(deep(40)),
        "1,000 levels in the header": raw(plain, `{"alg":"HS256","x":${"[".repeat(1000)}${"]".repeat(1000)}}`),
        "claims that are a list": raw("[]"),
        "claims that are no JSON": raw("{"),
        "claims with something behind": raw(plain + "x"),
        "a byte order mark": raw("\ufeff" + plain),
        "base64 with padding": `${head}=.${body}.${signature}`,
        "base64 with + and /": `${head}.${body}+/.${signature}`,
        "bad base64": `${head}.${body}*.${signature}`,
        "loose bits": `${head}.${body}.${signature.slice(0, -1)}${signature.endsWith("A") ? "B" : "A"}`,
        "a cut signature": good.slice(0, -3),
        "two parts": `${head}.${body}`,
        "four parts": `${good}.${signature}`,
        "five parts (JWE)": `${head}.${body}.${signature}.${signature}.${signature}`,
        "an empty part": `${head}..${signature}`,
        "changed claims": `${head}.${base64url(claims({ role: "admin" }))}.${signature}`,
        "another audience": hs({ aud: "other" }),
        "audiences without ours": hs({ aud: ["a", "b"] }),
        "no audience": hs({ aud: undefined }),
        "an audience that is a number": hs({ aud: 5 }),
        "another issuer": hs({ iss: "other" }),
        "no issuer": hs({ iss: undefined }),
        "expired": hs({ exp: now() - 1 }),
        "exp a text": hs({ exp: String(now() + 60) }),
        "exp negative": hs({ exp: -1 }),
        "exp 0": hs({ exp: 0 }),
        "no exp": hs({ exp: undefined }),
        "not yet": hs({ nbf: now() + 600 }),
        "nbf a text": hs({ nbf: "now" }),
        "issued in the future": hs({ iat: now() + 3600 }),
        "no sub": hs({ sub: undefined }),
        "empty sub": hs({ sub: "" }),
        "sub a number": hs({ sub: 7 }),
        "sub of 256 bytes": hs({ sub: "x".repeat(256) }),
        "an unknown role": hs({ role: "root" }),
        "a role that is a list": hs({ role: ["admin"] }),
        "a role in capitals": hs({ role: "ADMIN" }),
        "jti of 64 bytes": hs({ jti: "x".repeat(64) }),
        "jti a number": hs({ jti: 1 }),
        "no JWT": "garbage",
        "a blank inside": `${good} x`,
        "nothing": "",
    };
    for (const [name, token] of Object.entries(hostile)) {
        const reply = await checked(server.base, "GET", "/ws/connections", bearer(token));
        assert.equal(reply.status, 401, name);
        assert.match(reply.headers.get("www-authenticate"), /^Bearer/, name);
    }
    const large = raw(deep(20000)); // larger than a head may be: refused before it is looked at, and nobody is hurt
    const refused = answer(await exchange(server.port, `GET /ws/connections HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${large}\r\n\r\n`));
    assert.equal(refused.status, 431);
    assert.equal((await post("/api/v1/tokens/revoke", hs(), { token: "x".repeat(8192) })).status, 400);
    assert.equal(await status(good), 200, "the server is well");
    const log = server.stderr();
    for (const secret of [signature, SECRET.toString("latin1"), keys.oct.toString("latin1"), "player-1"]) assert.ok(!log.includes(secret), "no secret and no player in the log");
});

test("the deepest nesting that a head lets through gets 401", async () => {
    const roomy = await start(["--mode", "production", "--bind-address", "127.0.0.1"], { JWT_SECRET: SECRET.toString("base64") });
    try {
        // a head has 8 KB: the deepest token that fits has about 2,900 levels (tests/server_identity.c: 20,000)
        const levels = 2900;
        const token = make('{"alg":"HS256"}', `{"sub":"a","exp":${now() + 60},"x":${"[".repeat(levels)}${"]".repeat(levels)}}`, hs256(SECRET.toString("base64")));
        assert.ok(token.length < 8000);
        assert.equal((await checked(roomy.base, "GET", "/ws/connections", bearer(token))).status, 401);
    } finally {
        await roomy.stop();
    }
});

test("a WebSocket shows its JWT in a header, in the query or as a subprotocol; a wrong one gets 401", async () => {
    const open = (query, protocols, headers = {}) => new Promise((done) => {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/health/ws${query}`, protocols, { headers });
        socket.on("open", () => { socket.terminate(); done(101); });
        socket.on("unexpected-response", (request, response) => { done(response.statusCode); request.destroy(); });
        socket.on("error", () => done(0));
    });
    const good = hs();
    assert.equal(await open("", []), 101, "health wants none");
    assert.equal(await open(`?access_token=${good}`, []), 101);
    assert.equal(await open("", [], { Authorization: `Bearer ${good}` }), 101);
    for (const token of [hs({ exp: now() - 5 }), make({ alg: "none" }, claims(), () => "AA"), hs({ aud: "other" }), "x"]) {
        assert.equal(await open(`?access_token=${token}`, []), 401, token);
        assert.equal(await open("", [`necpnet.bearer.${token}`]), 401, token);
        assert.equal(await open("", [], { Authorization: `Bearer ${token}` }), 401, token);
    }
    for (const query of ["?access_token=%ff", "?access_token=%00", `?access_token=${good}&access_token=${good}`]) assert.equal(await open(query, []), 401, query);
    assert.equal(await open(`?access_token=${good}`, [`necpnet.bearer.${good}`]), 401, "in two ways at once");
});

test("keys rotate by kid without a restart, and a wrong file changes nothing", async () => {
    const next = make({ alg: "ES256", kid: "ec-2" }, claims(), es256(keys.next.privateKey));
    const old = make({ alg: "ES256", kid: "ec-1" }, claims(), es256(keys.ec.privateKey));
    assert.equal(await status(next), 401);
    writeKeys([...set(), jwk(keys.next, "ec-2")]);
    await until("the new key", async () => (await status(next)) === 200);
    assert.equal(await status(old), 200, "both are taken while they overlap");
    writeKeys([jwk(keys.next, "ec-2")]);
    await until("the old key's end", async () => (await status(old)) === 401);
    const broken = [
        "{", '{"keys":{}}', '{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AA","y":"AA"}]}',
        JSON.stringify({ keys: [{ ...jwk(keys.next, "ec-2"), y: base64url(Buffer.alloc(32, 7)) }] }), // no point of the curve
        JSON.stringify({ keys: [{ kty: "oct", kid: "x", k: base64url("short") }] }),
        JSON.stringify({ keys: [jwk(keys.rsa, "twice"), jwk(keys.other, "twice")] }),
    ];
    for (const text of broken) {
        const before = server.stderr().split('"jwks_wrong"').length;
        writeKeys(text);
        await until(`the refusal of ${text.slice(0, 30)}`, () => server.stderr().split('"jwks_wrong"').length > before);
        assert.equal(await status(next), 200, text.slice(0, 40));
    }
    writeKeys(set());
    await until("the first keys", async () => (await status(old)) === 200);
});

test("a JWT is rotated: the new one is taken, the old one is not", async () => {
    const old = hs({ sub: "rotating", role: "service", name: "Rota" });
    const reply = await post("/api/v1/tokens/rotate", old, { lifetime_s: 120 });
    assert.equal(reply.status, 201);
    assert.equal(reply.json.role, "service");
    const life = Date.parse(reply.json.expires_at) - Date.now();
    assert.ok(life > 60000 && life <= 121000, `lives ${life} ms`);
    const made = JSON.parse(Buffer.from(reply.json.token.split(".")[1], "base64url"));
    assert.deepEqual([made.sub, made.iss, made.aud, made.role, made.name], ["rotating", "studio", "arena", "service", "Rota"]);
    assert.equal(await status(reply.json.token), 200);
    assert.equal(await status(old), 401);
    assert.equal((await post("/api/v1/tokens/rotate", old)).status, 401);
});

test("a JWT is revoked by its holder or an administrator, by nobody else", async () => {
    const mine = hs({ sub: "owner", jti: "j-1" });
    const copy = hs({ sub: "owner", jti: "j-2" });
    const foreign = hs({ sub: "stranger" });
    assert.equal((await post("/api/v1/tokens/revoke", foreign, { token: mine })).status, 403);
    assert.equal((await post("/api/v1/tokens/revoke", hs({ sub: "s", role: "service" }), { token: mine })).status, 403);
    assert.equal(await status(mine), 200);
    assert.equal((await post("/api/v1/tokens/revoke", copy, { token: mine })).status, 204);
    assert.equal(await status(mine), 401);
    assert.equal(await status(copy), 200);
    assert.equal((await post("/api/v1/tokens/revoke", copy, { token: mine })).status, 204, "again changes nothing");
    const admin = hs({ sub: "boss", role: "admin" });
    assert.equal((await post("/api/v1/tokens/revoke", admin, { player_id: "owner" })).status, 204);
    assert.equal(await status(copy), 401);
    assert.equal(await status(hs({ sub: "owner", iat: now() + 2 })), 200, "one that was issued later is taken");
    assert.equal(await status(hs({ sub: "owner", iat: undefined })), 401, "one that does not say when is not");
    assert.equal((await post("/api/v1/tokens/revoke", foreign, { player_id: "boss" })).status, 403);
    for (const body of [{}, { token: foreign, player_id: "x" }, { token: "no JWT" }, { connect_token: "x" }, { player_id: "" }]) {
        assert.equal((await post("/api/v1/tokens/revoke", admin, body)).status, 400, JSON.stringify(body));
    }
});

test("a revoked JWT closes what it opened, on every worker; a rotated one does not", async () => {
    const crew = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--jwt-audience", "arena", "--workers", "3", "--bots", "0",
                              "--udp-port", "-1", "--take-over", "allow", "--rate-token", "0", "--rate-read", "0", "--rate-write", "0"], { JWT_SECRET_FILE: path.join(folder, "secret") });
    try {
        const call = (target, token, body) => checked(crew.base, "POST", target, { headers: { ...bearer(token).headers, "Content-Type": "application/json" }, body: JSON.stringify(body) });
        const boss = hs({ sub: "boss", role: "admin" });
        for (const id of ["owners", "others"]) {
            const body = { session_id: id, player_id: id === "owners" ? "owner" : "other", recipe: "sword", duration_ms: 3600000 };
            assert.equal((await call("/api/v1/crafting/sessions", boss, body)).status, 201);
        }
        // What one JWT opens: JSON-RPC, crafting, a queue. A session of necpnet.v1: below, and wasm/test/revoked.test.mjs.
        const open = (token, sub) => Promise.all([`/ws`, `/ws/crafting/${sub}s`, `/ws/queue/${sub}`].flatMap((target) => Array.from({ length: 4 }, () => new Promise((resolve, reject) => {
            const socket = new WebSocket(`ws://127.0.0.1:${crew.port}${target}`, target === "/ws" ? "jsonrpc2.necpnet" : [], bearer(token));
            const one = { target, socket, code: null };
            socket.on("close", (code) => (one.code = code));
            socket.on("error", reject);
            socket.on("open", () => {
                if (target === "/ws") socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "session.hello", params: {} }));
                resolve(one);
            });
        }))));
        const [mine, copy, foreign] = [hs({ sub: "owner", jti: "m" }), hs({ sub: "owner", jti: "c" }), hs({ sub: "other" })];
        const [byMine, byCopy, byForeign] = [await open(mine, "owner"), await open(copy, "owner"), await open(foreign, "other")];
        const isOpen = (list) => list.every((one) => one.socket.readyState === WebSocket.OPEN);
        assert.equal((await call("/api/v1/tokens/revoke", boss, { token: mine })).status, 204);
        await until("all of it to be closed", () => byMine.every((one) => one.code === 4006));
        assert.ok(isOpen(byCopy) && isOpen(byForeign));
        const renewed = (await call("/api/v1/tokens/rotate", copy, {})).json.token;
        assert.equal((await checked(crew.base, "GET", "/ws/connections", bearer(copy))).status, 401);
        assert.ok(isOpen(byCopy), "a rotation is no reason to hang up");
        const byRenewed = await open(renewed, "owner");
        assert.equal((await call("/api/v1/tokens/revoke", renewed, { player_id: "owner" })).status, 204);
        await until("all of the user to be closed", () => [...byCopy, ...byRenewed].every((one) => one.code === 4006));
        assert.ok(isOpen(byForeign), "and nobody else");
        for (const one of byForeign) one.socket.close();
    } finally {
        await crew.stop();
    }
});

test("a connect token that was revoked connects nobody", async () => {
    const grant = (await post("/api/v1/connect-tokens", hs({ sub: "connecting" }))).json;
    assert.equal((await post("/api/v1/tokens/revoke", hs({ sub: "connecting" }), { connect_token: grant.token })).status, 204);
});

test("a session of necpnet.v1 ends with its connect token, or with its user, by name; others go on", async () => {
    const crew = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--jwt-audience", "arena", "--workers", "3", "--bots", "0",
                              "--take-over", "allow", "--rate-token", "0", "--rate-read", "0", "--rate-write", "0"], { JWT_SECRET_FILE: path.join(folder, "secret") });
    const players = [];
    try {
        const call = (target, token, body) => checked(crew.base, "POST", target, { headers: { ...bearer(token).headers, "Content-Type": "application/json" }, body: JSON.stringify(body) });
        const boss = hs({ sub: "boss", role: "admin" });
        const connect = async (sub, transport) => { // by the program `necpnet`, until it says by what it was cut off
            const grant = (await call("/api/v1/connect-tokens", hs({ sub }), { player: sub, transport: transport === "udp" ? "udp" : "websocket" })).json;
            const child = spawn(path.resolve(BUILD, "bin/necpnet"), ["rpc", "--transport", transport, "--token", grant.token], { stdio: ["pipe", "pipe", "pipe"] });
            const one = { sub, transport, token: grant.token, child, said: "", ended: false };
            for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (one.said += data));
            child.on("exit", () => (one.ended = true));
            child.stdin.on("error", () => {});
            one.answers = async (id) => {
                child.stdin.write(JSON.stringify({ jsonrpc: "2.0", id, method: "group.list", params: {} }) + "\n");
                await until(`${sub} to be answered over ${transport}`, () => one.said.includes(`"id":${id}}`));
            };
            players.push(one);
            await one.answers(1);
            assert.match(one.said, new RegExp(`over ${transport === "udp" ? "udp" : "websocket"}`));
            return one;
        };
        for (const transport of ["udp", "ws"]) {
            const [first, second, other] = [await connect(`${transport}-ann`, transport), await connect(`${transport}-ann`, transport), await connect(`${transport}-bob`, transport)];
            assert.equal((await call("/api/v1/tokens/revoke", boss, { connect_token: first.token })).status, 204);
            await until("the first to be cut off", () => first.ended);
            assert.match(first.said, /ERR_TOKEN_REVOKED/);
            await second.answers(2);
            assert.equal((await call("/api/v1/tokens/revoke", boss, { player_id: second.sub })).status, 204);
            await until("the second to be cut off", () => second.ended);
            assert.match(second.said, /ERR_TOKEN_REVOKED/);
            await other.answers(2);
            assert.doesNotMatch(other.said, /ERR_/);
        }
    } finally {
        for (const one of players) one.child.kill("SIGKILL");
        await crew.stop();
    }
});

test("an administrator alone makes tokens for services", async () => {
    assert.equal((await post("/api/v1/service-tokens", hs(), { service: "crafting-service" })).status, 403);
    assert.equal((await post("/api/v1/service-tokens", hs({ role: "service" }), { service: "crafting-service" })).status, 403);
    const reply = await post("/api/v1/service-tokens", hs({ role: "admin" }), { service: "crafting-service", lifetime_s: 60 });
    assert.equal(reply.status, 201);
    assert.equal(reply.json.role, "service");
    assert.equal(await status(reply.json.token), 200);
    assert.equal((await checked(server.base, "GET", "/api/v1/admin/audit", bearer(reply.json.token))).status, 403);
});
