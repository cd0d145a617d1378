// server_api - the table of routes, walked: every route is described, every answer is as described, every role meets own and foreign
// objects, and every parameter and field meets every mistake. `necpnet-server routes` gives the table.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import WebSocket from "ws";
import { checked, description, resolve, validate } from "./api_description.mjs";
import { hs256, make, now } from "./jwt.mjs";
import { BUILD, SERVER, answer, count, exchange, run, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const table = JSON.parse(spawnSync(SERVER, ["routes"], { encoding: "utf8" }).stdout);
const token = (role, sub, more = {}) => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600, name: sub, ...more }, hs256(SECRET));
// [role, sub]; every request has a JWT of its own, since some end theirs
const who = { anyone: null, player: ["player", "ada"], stranger: ["player", "bob"], service: ["service", "crafting"], admin: ["admin", "boss"] };
const headers = (name, more = {}) => ({ ...(who[name] ? { Authorization: `Bearer ${token(...who[name], { jti: randomUUID() })}` } : {}), ...more });
const json = { "Content-Type": "application/json" };
const PRODUCTION = ["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio"];
const UNLIMITED = ["--rate-read", "0", "--rate-write", "0", "--rate-token", "0", "--rate-admin", "0", "--rate-health", "0"];
let server;
const players = [];

// play - a native player with a session of her own.
async function play(at, name) {
    const grant = await checked(at.base, "POST", "/api/v1/connect-tokens", { headers: headers(name) });
    const child = spawn(path.resolve(BUILD, "bin/necpnet"), ["connect", "--token", grant.json.token, "--seconds", "50"], { stdio: "ignore" });
    players.push(child);
    const list = () => checked(at.base, "GET", "/ws/connections", { headers: headers(name) });
    return until(`the session of ${name}`, async () => (await list()).json.connections[0]);
}

before(async () => {
    server = await start([...PRODUCTION, ...UNLIMITED], { JWT_SECRET: SECRET });
});
after(async () => {
    for (const child of players) child.kill("SIGKILL");
    await server?.stop();
});

test("the linter has no complaint about the description", () => {
    const tool = spawnSync("tests/e2e/node_modules/.bin/redocly", ["lint", "--config", "server/redocly.yaml", "--format", "json", "server/openapi.yaml"],
                           { encoding: "utf8", timeout: 60000, env: { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" } });
    assert.equal(tool.error, undefined, "fix: tools/setup.sh installs @redocly/cli");
    const report = JSON.parse(tool.stdout.slice(tool.stdout.indexOf("{")));
    assert.deepEqual(report.problems, []);
});

test("the description has what the service wants of it", () => {
    assert.equal(description.openapi, "3.0.3");
    for (const key of ["title", "version", "description", "contact", "license", "termsOfService"]) assert.ok(description.info[key], key);
    assert.ok(description.externalDocs.url);
    assert.deepEqual(description.servers.map((one) => one.url),
                     ["https://api.necpgame.com/v1/network", "https://staging-api.necpgame.com/v1/network", "http://localhost:8080/api/v1/network"]);
    assert.deepEqual(Object.keys(description.components.securitySchemes), ["BearerAuth", "ServiceAuth", "WebSocketAuth"]);
    assert.ok(description.components.schemas.Error && description.components.schemas.HealthResponse);
});

test("table and description name the same routes, parameters and fields", () => {
    const described = Object.entries(description.paths).flatMap(([at, item]) =>
        ["get", "post", "put", "patch", "delete"].filter((method) => item[method]).map((method) => `${method.toUpperCase()} ${at}`));
    assert.deepEqual(described.sort(), table.map((row) => `${row.method} ${row.path}`).sort());
    for (const row of table) {
        const item = description.paths[row.path];
        const operation = item[row.method.toLowerCase()];
        const what = `${row.method} ${row.path}`;
        const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
        const body = resolve(operation.requestBody?.content["application/json"].schema);
        const told = [...parameters.map((one) => `${one.in} ${one.name}`), ...Object.keys(body?.properties ?? {}).map((name) => `body ${name}`)];
        assert.deepEqual(told.sort(), row.fields.map((one) => `${one.in} ${one.name}`).sort(), what);
        for (const field of row.fields) {
            const schema = resolve(field.in === "body" ? body.properties[field.name] : parameters.find((one) => one.name === field.name && one.in === field.in).schema);
            if (field.kind === "choice") assert.deepEqual(schema.enum.join("|"), field.choices, what);
            if (field.kind === "integer" || field.kind === "number") assert.deepEqual([schema.minimum, schema.maximum], [field.low, field.high], `${what} ${field.name}`);
            if (field.in === "body") assert.equal((body.required ?? []).includes(field.name), field.required, `${what} ${field.name}`);
        }
        const open = row.roles.includes("anyone");
        assert.equal(JSON.stringify(operation.security ?? description.security).includes("BearerAuth"), !open, `${what}: security`);
        for (const status of open ? [] : ["401", "403"]) assert.ok(operation.responses[status], `${what} ${status}`);
    }
});

// A request that is right but for who asks.
const sample = { player_id: "ada", status: "online", session_id: "craft-1", recipe: "sword", duration_ms: 3600000, services: ["store"], topics: ["chat.lobby"], service: "guild", epoch: 0, connection_id: "0.p0000000000000001",
                 channel_id: "walked", stream_id: "streamed", user_id: "ada", name: "Hall", type: "party", to_user_id: "bob", bitrate: 24000, packet_loss: 0, jitter: 0, latency: 0 };
const candidate = { candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host", sdpMid: "0" };
function requestOf(row, object, role = "player") {
    const at = row.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(name === row.object && object ? object : sample[name] ?? "1h"));
    const body = Object.fromEntries(row.fields.filter((one) => one.in === "body" && one.required).map((one) => [one.name, sample[one.name]]));
    if (row.path.endsWith("/signal")) Object.assign(body, { type: "candidate", candidate, from_user_id: who[role]?.[1] ?? "ada" });
    if (row.path.endsWith("/invitations")) body.user_id = "ivy";
    if (row.path === "/audio/streams" && row.method === "POST") body.type = "voice";
    if (row.path === "/api/v1/tokens/revoke") body.token = token("player", "nobody", { exp: now() - 5 });
    const query = row.fields.filter((one) => one.in === "query" && one.required).map((one) => `${one.name}=${sample[one.name] ?? one.choices?.split("|")[0]}`).join("&");
    const bodied = Object.keys(body).length > 0;
    return { at: query ? `${at}?${query}` : at, options: { headers: bodied ? json : {}, body: bodied ? JSON.stringify(body) : undefined } };
}

test("every role meets own and foreign objects on every route", async () => {
    const own = (await play(server, "player")).id;
    const foreign = (await play(server, "stranger")).id;
    for (const [session_id, player_id] of [["craft-1", "ada"], ["craft-2", "bob"]]) {
        const begun = await checked(server.base, "POST", "/api/v1/crafting/sessions",
                                    { headers: headers("service", json), body: JSON.stringify({ session_id, player_id, recipe: "sword", duration_ms: 3600000 }) });
        assert.equal(begun.status, 201);
    }
    const voice = async (owner, id, others) => {
        const send = (at, body) => checked(server.base, "POST", at, { headers: headers("admin", json), body: JSON.stringify(body) });
        assert.equal((await send("/api/v1/voice-channels", { name: "Hall", type: "private", id, owner_id: owner })).status, 201);
        for (const user_id of others) assert.equal((await send(`/api/v1/voice-channels/${id}/join`, { user_id })).status, 200);
    };
    await voice("ada", "walked", ["ada", "bob", "crafting", "boss"]);
    await voice("bob", "walked-by", ["bob"]);
    await voice("ada", "streamed", []);
    await voice("bob", "streamed-by", []);
    const objects = { connection_id: [own, foreign], player_id: ["ada", "bob"], session_id: ["craft-1", "craft-2"], channel_id: ["walked", "walked-by"], stream_id: ["streamed", "streamed-by"] };
    let asked = 0;
    // what ends something comes last, the parts before the whole
    const rows = table.filter((row) => !row.upgrade && row.path !== "/api/v1/admin/drain")
        .sort((a, b) => (a.method === "DELETE") - (b.method === "DELETE") || b.path.endsWith("{user_id}") - a.path.endsWith("{user_id}"));
    for (const row of rows) {
        for (const role of ["anyone", "player", "service", "admin"]) {
            for (const [index, object] of (objects[row.object] ?? [undefined]).entries()) {
                if (row.method === "DELETE" && index === 0) continue; // ends own objects: below
                const { at, options } = requestOf(row, object, role);
                const elsewhere = index === 1 && /participants.{2}user_id|signal|report/.test(row.path); // who is asked about is not in there
                const reply = await checked(server.base, row.method, at, { ...options, headers: headers(role, options.headers) });
                const what = `${row.method} ${at} as ${role}: ${reply.status} ${reply.text.slice(0, 200)}`;
                asked++;
                if (row.roles.includes("anyone")) {
                    assert.ok(reply.status < 300 || reply.status === 404, what);
                } else if (role === "anyone") {
                    assert.equal(reply.status, 401, what);
                } else if (!row.roles.includes(role)) {
                    assert.equal(reply.status, 403, what);
                } else if (role === "player" && row.object && index === 1) {
                    assert.equal(reply.status, 403, what);
                } else {
                    assert.ok(reply.status < 300 || (reply.status === 404 && row.method === "DELETE") || (elsewhere && [403, 404].includes(reply.status)), what);
                }
            }
        }
    }
    assert.ok(asked >= rows.length * 4);
    const mine = await checked(server.base, "DELETE", `/ws/connections/${own}`, { headers: headers("player") });
    assert.equal(mine.status, 204);
    await until("the end of the connection", async () => (await checked(server.base, "GET", `/ws/connections/${own}`, { headers: headers("admin") })).status === 404);
    assert.equal((await checked(server.base, "DELETE", `/ws/connections/${own}`, { headers: headers("player") })).status, 404);
});

test("what the seeds name stands below their prefix, too", async () => {
    for (const row of table.filter((one) => one.seed && !one.upgrade && one.method === "GET" && !one.object)) {
        const plain = await checked(server.base, "GET", requestOf(row).at, { headers: headers("admin") });
        const prefixed = await checked(server.base, "GET", "/api/v1/network" + requestOf(row).at, { headers: headers("admin") });
        assert.equal(prefixed.status, plain.status, row.path);
    }
});

test("every parameter and field with every mistake is a 400 that names it", async () => {
    const values = (field) => {
        const wrong = [];
        if (field.in !== "body") wrong.push("%ff", "%00", "%", "%zz", "%c0%80");
        if (field.in === "body") wrong.push(null, {}, [], 7.5, true);
        if (field.kind === "number") wrong.push(field.low - 0.001, field.high + 0.001, "1", 1e300);
        if (field.kind === "object") wrong.push({ x: "y".repeat(field.high) });
        if (field.kind === "integer") wrong.push(field.low - 1, field.high + 1, field.in === "body" ? "1" : "1.5", field.in === "body" ? 1e300 : "99999999999999999999", field.in === "body" ? -1e300 : "x");
        if (field.kind === "choice") wrong.push("no-such-choice", field.in === "body" ? 7 : "ACTIVE");
        if (field.kind === "text" || field.kind === "id") wrong.push("x".repeat(field.high + 1), field.in === "body" ? "a\u0007b" : "a%07b");
        if (field.kind === "id") wrong.push(field.in === "body" ? "a b" : "a%20b");
        if (field.kind === "texts") wrong.push(["x", "x"], [""], [7], ["y".repeat(field.high + 1)], Array.from({ length: field.count_max + 1 }, (_, i) => `t${i}`));
        return wrong.filter((value) => !(field.kind === "bool" && value === true) && !(field.kind === "object" && value && typeof value === "object" && !Array.isArray(value) && !value.x) &&
                                        !(field.kind === "number" && value === 7.5 && field.high >= 8));
    };
    const is400 = async (row, at, options, name, what) => {
        const reply = await checked(server.base, row.method, at, { ...options, headers: headers("admin", options.headers) });
        assert.equal(reply.status, 400, `${what}: ${reply.status} ${reply.text.slice(0, 200)}`);
        assert.equal(reply.json.details.field, name, what);
        assert.ok(reply.json.message.length > 10, what);
    };
    let asked = 0;
    for (const row of table.filter((one) => !one.upgrade)) {
        const { at, options } = requestOf(row);
        const what = `${row.method} ${row.path}`;
        for (const field of row.fields) {
            for (const value of values(field)) {
                const told = `${what} ${field.name}=${JSON.stringify(value)?.slice(0, 60)}`;
                asked++;
                if (field.in === "path") {
                    await is400(row, row.path.replace(/\{(\w+)\}/g, (_, name) => (name === field.name ? value : sample[name])), options, field.name, told);
                } else if (field.in === "query") {
                    await is400(row, `${at}${at.includes("?") ? "&" : "?"}${field.name}=${value}`.replace(new RegExp(`([?&])${field.name}=[^&]*&(?=.*\\b${field.name}=)`), "$1"), options, field.name, told);
                } else {
                    const body = { ...JSON.parse(options.body ?? "{}"), [field.name]: value };
                    await is400(row, at, { headers: json, body: JSON.stringify(body) }, field.name, told);
                }
            }
            if (field.in === "query") {
                const right = field.kind === "choice" ? field.choices.split("|")[0] : field.kind === "integer" ? field.low : field.kind === "bool" ? "true" : sample[field.name] ?? "x";
                await is400(row, `${row.path}?${field.name}=${right}&${field.name}=${right}`.replace(/\{(\w+)\}/g, (_, name) => sample[name]), options, field.name, `${what} ${field.name} twice`);
            }
            if (field.in === "body" && field.required) {
                const body = JSON.parse(options.body ?? "{}");
                delete body[field.name];
                await is400(row, at, { headers: json, body: JSON.stringify(body) }, field.name, `${what} without ${field.name}`);
            }
        }
        if (row.fields.some((one) => one.in === "body")) {
            const body = options.body ?? "{}";
            await is400(row, at, { headers: json, body: body.replace(/}$/, `${body === "{}" ? "" : ","}"no_such_field":1}`) }, "no_such_field", `${what} unknown field`);
            for (const text of ["{", "[]", "null", '"x"', body + " x", '{"a":1,"a":1}', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), "[".repeat(3000)]) {
                const reply = await checked(server.base, row.method, at, { headers: headers("admin", json), body: text });
                assert.equal(reply.status, 400, `${what} with ${String(text).slice(0, 20)}`);
            }
            const form = await checked(server.base, row.method, at, { headers: headers("admin", { "Content-Type": "text/plain" }), body: "{}" });
            assert.equal(form.status, 415, what);
        } else {
            const reply = await checked(server.base, row.method, `${at}${at.includes("?") ? "&" : "?"}no_such_parameter=1`, { headers: headers("admin") }).catch((error) => error);
            assert.equal(reply.status ?? 400, 400, `${what} unknown parameter: ${reply}`);
        }
    }
    assert.ok(asked > 100);
    assert.equal((await checked(server.base, "GET", "/health")).status, 200, "nobody was hurt");
});

test("headers that stand there twice or in broken UTF-8 are named", async () => {
    const ask = async (lines) => answer(await exchange(server.port, `GET /ws/connections HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`));
    for (const [lines, name] of [[`Authorization: Bearer ${token("player", "ada")}\r\nAuthorization: Bearer ${token("admin", "boss")}\r\n`, "Authorization"],
                                 ["Traceparent: a\r\nTraceparent: b\r\n", "Traceparent"], ["Origin: a\r\norigin: b\r\n", "Origin"]]) {
        const reply = await ask(lines);
        assert.equal(reply.status, 400, lines);
        assert.equal(JSON.parse(reply.body).details.field, name);
        assert.equal(JSON.parse(reply.body).details.in, "header");
    }
});

test("health names every part; the batch takes names; the WebSocket tells at once", async () => {
    const health = (await checked(server.base, "GET", "/health")).json;
    assert.deepEqual(Object.keys(health.components).sort(), ["bus", "cache", "memory", "store", "websocket"]);
    for (const part of Object.values(health.components)) assert.equal(part.status, "ok");
    const batch = await checked(server.base, "POST", "/health/batch", { headers: json, body: JSON.stringify({ services: ["bus", "elsewhere", "store"] }) });
    assert.deepEqual(batch.json.results.map((one) => [one.service, one.status]), [["bus", "ok"], ["elsewhere", "unknown"], ["store", "ok"]]);
    const lengths = new Set();
    for (let i = 0; i < 20; i++) lengths.add((await checked(server.base, "GET", "/health")).text.length);
    assert.equal(lengths.size, 1, "answers of one length");
    for (const prefix of ["", "/api/v1/network"]) {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}${prefix}/health/ws`);
        const messages = [];
        socket.on("message", (data) => messages.push(JSON.parse(data)));
        await until("two messages", () => messages.length >= 2, 8000);
        for (const message of messages) validate(description.components.schemas.WebSocketHealthMessage, message, "WebSocketHealthMessage");
        assert.ok(messages[1].sequence > messages[0].sequence);
        socket.close();
    }
    const sockets = Array.from({ length: 17 }, () => new WebSocket(`ws://127.0.0.1:${server.port}/health/ws`));
    const outcomes = await Promise.all(sockets.map((one) => new Promise((done) => { one.on("open", () => done("open")); one.on("error", (error) => done(error.message)); })));
    assert.equal(outcomes.filter((one) => one === "open").length, 16, "so many of one address");
    assert.match(outcomes.find((one) => one !== "open"), /429/);
    for (const one of sockets) one.terminate();
});

test("lists are read page by page", async () => {
    const names = ["p1", "p2", "p3", "p4", "p5"];
    for (const name of names) {
        who[name] = ["player", name];
        await play(server, name);
    }
    const all = (await checked(server.base, "GET", "/api/v1/admin/sessions?limit=1000", { headers: headers("admin") })).json.connections;
    assert.ok(names.every((name) => all.some((one) => one.user.id === name)));
    const seen = [];
    let cursor = null;
    do {
        const page = (await checked(server.base, "GET", `/ws/connections?limit=2${cursor ? `&cursor=${cursor}` : ""}`, { headers: headers("admin") })).json;
        assert.ok(page.connections.length <= 2);
        seen.push(...page.connections.map((one) => one.id));
        cursor = page.next_cursor;
    } while (cursor);
    assert.deepEqual(seen.sort(), all.map((one) => one.id).sort());
    const active = (await checked(server.base, "GET", "/ws/connections?status=active", { headers: headers("service") })).json.connections;
    assert.ok(active.length >= 5 && active.every((one) => one.status === "active" && one.from === "127.0.0.0"));
    assert.equal((await checked(server.base, "GET", "/ws/connections?cursor=99.p0000000000000001", { headers: headers("admin") })).json.connections.length, 0);
});

test("a connection is subscribed with its own rights, over whatever it came", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws?access_token=${token("player", "rita", { jti: randomUUID() })}`, ["jsonrpc2.necpnet"]);
    const messages = [];
    socket.on("message", (data) => messages.push(JSON.parse(data)));
    await new Promise((resolve, reject) => { socket.on("open", resolve); socket.on("error", reject); });
    socket.send('{"jsonrpc":"2.0","id":1,"method":"session.hello","params":{}}');
    await until("the hello", () => messages.some((one) => one.id === 1));
    who.rita = ["player", "rita"];
    const mine = (await checked(server.base, "GET", "/ws/connections", { headers: headers("rita") })).json.connections[0];
    assert.deepEqual([mine.protocol, mine.status, mine.from], ["jsonrpc2.necpnet", "active", "127.0.0.0"]);
    const change = (name, id, verb, topics) => checked(server.base, "POST", `/connections/${id}/${verb}`, { headers: headers(name, json), body: JSON.stringify({ topics }) });
    const changed = await change("rita", mine.id, "subscribe", ["chat.lobby", "chat.trade"]);
    assert.equal(changed.status, 200);
    assert.ok(["chat.lobby", "chat.trade"].every((name) => changed.json.topics.includes(name)));
    socket.send('{"jsonrpc":"2.0","id":2,"method":"event.publish","params":{"topic":"chat.lobby","type":"chat.message","data":{"text":"hi"}}}');
    await until("the message", () => messages.some((one) => one.method === "topic.message" && one.params.topic === "chat.lobby"));
    assert.equal((await change("admin", mine.id, "subscribe", ["admin.secret"])).status, 403, "an administrator gives no rights that the player lacks");
    assert.equal((await change("rita", mine.id, "subscribe", ["no topic"])).status, 403);
    assert.equal((await change("player", mine.id, "subscribe", ["chat.lobby"])).status, 403, "somebody else's");
    const left = await change("service", mine.id, "unsubscribe", ["chat.lobby"]);
    assert.ok(!left.json.topics.includes("chat.lobby"));
    assert.equal((await change("rita", mine.id, "unsubscribe", ["chat.lobby"])).status, 200, "again changes nothing");
    assert.equal((await change("admin", "0.g00000000000000ff", "subscribe", ["chat.lobby"])).status, 404);
    const closed = new Promise((resolve) => socket.on("close", resolve));
    assert.equal((await checked(server.base, "DELETE", `/ws/connections/${mine.id}`, { headers: headers("admin") })).status, 204);
    assert.equal(await closed, 4005);
    await play(server, "p1"); // replaces an earlier one, which may still be listed for a moment
    const native = await until("the session over UDP subscribes", async () => {
        const listed = (await checked(server.base, "GET", "/ws/connections?status=active", { headers: headers("p1") })).json.connections;
        const reply = listed.length > 0 ? await change("p1", listed[0].id, "subscribe", ["chat.lobby"]) : null;
        return reply?.status === 200 ? reply.json : null;
    });
    assert.ok(native.topics.includes("chat.lobby") && native.protocol === "necpnet.v1");
});

test("security events are kept, and read by administrators", async () => {
    const page = (await checked(server.base, "GET", "/api/v1/admin/audit?limit=1000", { headers: headers("admin") })).json;
    const events = new Set(page.events.map((one) => one.event));
    for (const name of ["forbidden", "connection_closed"]) assert.ok(events.has(name), [...events].join());
    assert.ok(page.events.every((one) => one.actor === null || one.event === "voice_signals" || one.from === "127.0.0.0" && /^[0-9a-f]{32}$/.test(one.trace_id)));
    assert.deepEqual([...page.events].map((one) => one.id).sort().reverse(), page.events.map((one) => one.id), "the newest first");
    const first = (await checked(server.base, "GET", "/api/v1/admin/audit?limit=1", { headers: headers("admin") })).json;
    const second = (await checked(server.base, "GET", `/api/v1/admin/audit?limit=1&cursor=${first.next_cursor}`, { headers: headers("admin") })).json;
    assert.ok(second.events[0].id < first.events[0].id);
});

test("the configuration is told without its secrets", async () => {
    const reply = await checked(server.base, "GET", "/api/v1/admin/configuration", { headers: headers("admin") });
    assert.equal(reply.json.configuration.jwt_secret, "(hidden)");
    assert.equal(reply.json.configuration.mode, "production");
    assert.ok(!reply.text.includes(SECRET));
});

test("the description is served, and can be read as a page without scripts", async () => {
    const yaml = await checked(server.base, "GET", "/openapi.yaml");
    assert.match(yaml.text, /^openapi: 3\.0\.3\n/);
    assert.equal(yaml.text, readFileSync("server/openapi.yaml", "utf8"));
    const page = await checked(server.base, "GET", "/docs");
    for (const at of Object.keys(description.paths)) assert.ok(page.text.includes(`<code>${at}</code>`), at);
    assert.equal((page.text.match(/<details>/g) ?? []).length, (page.text.match(/<\/details>/g) ?? []).length);
    assert.ok(!page.text.includes("<script"));
});

test("too many requests get 429 with Retry-After, of one player and of one address", async () => {
    const limited = await start([...PRODUCTION, "--rate-read", "1", "--rate-health", "1", "--rate-token", "1"], { JWT_SECRET: SECRET });
    try {
        const ask = (name, at = "/ws/connections", method = "GET") => checked(limited.base, method, at, { headers: headers(name) });
        // A bucket fills while a slow machine asks: it asks until both kinds of answers came, instead of once.
        const both = async (what, one, right, count = 1) => {
            const all = [];
            await until(what, async () => {
                all.push(...await Promise.all(Array.from({ length: 30 }, one)));
                return all.some((answer) => answer.status === right) && all.filter((answer) => answer.status === 429).length >= count;
            }, 20000).catch((error) => assert.fail(`${error.message}: ${all.map((answer) => answer.status).join(" ")}`));
            assert.deepEqual([...new Set(all.map((answer) => answer.status))].sort(), [right, 429]);
            return all.filter((answer) => answer.status === 429);
        };
        const refused = await both("some let in, some refused", () => ask("player"), 200, 3);
        for (const one of refused) assert.ok(Number(one.headers.get("retry-after")) >= 1 && one.json.details.limit === "read");
        await both("guessing credentials to be limited", () => checked(limited.base, "GET", "/api/v1/admin/audit", { headers: { Authorization: "Bearer wrong" } }), 401);
        await until("a place again", async () => (await ask("player")).status === 200, 20000);
        await both("health to be limited", () => checked(limited.base, "GET", "/health"), 200);
    } finally {
        await limited.stop();
    }
});

test("ab finds no failure", async () => {
    const tool = spawn("ab", ["-q", "-n", "10000", "-c", "100", `http://127.0.0.1:${server.port}/health`], { timeout: 55000 });
    let said = "";
    for (const stream of [tool.stdout, tool.stderr]) stream.on("data", (data) => (said += data));
    const ended = await new Promise((resolve) => { tool.on("exit", resolve); tool.on("error", resolve); });
    assert.notEqual(ended?.code, "ENOENT", "ab is missing; fix: tools/setup.sh (Debian package apache2-utils)");
    assert.match(said, /Complete requests: +10000\n/);
    assert.match(said, /Failed requests: +0\n/, said);
    assert.ok(!/Non-2xx/.test(said), said);
});

test("an administrator's drain ends the server in good order", async () => {
    const draining = await start([...PRODUCTION, "--drain-ms", "5000"], { JWT_SECRET: SECRET });
    try {
        assert.equal((await checked(draining.base, "POST", "/api/v1/admin/drain", { headers: headers("player") })).status, 403);
        const reply = await checked(draining.base, "POST", "/api/v1/admin/drain", { headers: headers("admin") });
        assert.equal(reply.status, 202);
        assert.deepEqual(await draining.waitEnd(), { code: 0, signal: null });
    } finally {
        await draining.stop().catch(() => {});
    }
});

test("verbs and settings that are wrong are named", () => {
    assert.match(run(["migrate", "status"]).stdout, /memory/);
    assert.match(run(["--store", "mysql:x"]).stderr, /store .*neither memory: nor sqlite:FILE/);
    assert.match(run(["--jwks-file", "/nowhere"]).stderr, /jwks_file/);
    assert.match(run(["--mode", "production", "--jwt-secret-file", "/dev/null", "--store", "memory:"]).stderr, /32 bytes/);
});
