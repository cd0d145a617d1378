// server_rpc - JSON-RPC over WebSocket by the `ws` client, beside a native UDP client (necpnet rpc) that speaks the same methods
// and the binary form of events, read here by a decoder of its own. Aim: both hear each other; the specification's errors;
// roles; resume without loss; hostile input costs its sender alone.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import path from "node:path";
import http from "node:http";
import nodeTest, { after, before } from "node:test";
import WebSocket from "ws";
import { open as openClient } from "./rpc_client.mjs";
import { BUILD, connect, count, sleep, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
let server;
let production;

before(async () => {
    server = await start(["--resume-window-ms", "3000", "--bots", "3"]);
    production = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--ws-deflate", "on",
                              "--rpc-rate", "20", "--public-urls", "ws://127.0.0.1:1/ws"], { JWT_SECRET: SECRET });
});

after(async () => {
    await server?.stop();
    await production?.stop();
});

function jwt(claims) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const body = part({ alg: "HS256", typ: "JWT" }) + "." + part({ iss: "studio", exp: Math.floor(Date.now() / 1000) + 60, ...claims });
    return body + "." + createHmac("sha256", SECRET).update(body).digest("base64url");
}

const open = (query = "", options = {}) => openClient(query, { at: server, ...options });

async function join(query, options) {
    const client = await open(query, options);
    client.hello = await client.call("session.hello", {});
    return client;
}

// The native client: lines in, lines out.
function native(name, transport = "udp") {
    const child = spawn(path.resolve(BUILD, "bin/necpnet"),
                        ["rpc", "--transport", transport, "--name", name, "--token-url", server.base + "/api/v1/connect-tokens"],
                        { stdio: ["pipe", "pipe", "pipe"] });
    const lines = [];
    let rest = "";
    let last = 0;
    child.stdout.on("data", (data) => {
        const parts = (rest + data).split("\n");
        rest = parts.pop();
        lines.push(...parts);
    });
    const answers = () => lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    return {
        lines,
        write: (line) => child.stdin.write(line + "\n"),
        async call(method, params = {}) {
            const id = ++last;
            child.stdin.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
            const answer = await until(`an answer to ${method}`, () => answers().find((one) => one.id === id));
            assert.equal(answer.error, undefined, JSON.stringify(answer));
            return answer.result;
        },
        answers,
        messages: (wanted) => lines.filter((line) => line.startsWith(`@${wanted} `)).map((line) => Buffer.from(line.split(" ")[1], "hex")),
        kill: () => child.kill("SIGKILL"),
        async stop() {
            child.stdin.end();
            await new Promise((resolve) => child.on("exit", resolve));
        },
    };
}

// Protocol Buffers, as far as events go: [number, value] pairs.
function decode(bytes) {
    const fields = [];
    let at = 0;
    const varint = () => {
        let value = 0n;
        for (let shift = 0n;; shift += 7n) {
            const byte = bytes[at++];
            value |= BigInt(byte & 127) << shift;
            if (byte < 128) return value;
        }
    };
    while (at < bytes.length) {
        const key = Number(varint());
        if ((key & 7) === 0) fields.push([key >> 3, varint()]);
        else if ((key & 7) === 1) fields.push([key >> 3, bytes.readDoubleLE((at += 8) - 8)]);
        else {
            const length = Number(varint());
            fields.push([key >> 3, bytes.subarray(at, (at += length))]);
        }
    }
    return fields;
}

const field = (fields, number) => fields.find(([one]) => one === number)?.[1];

function encode(fields) {
    const out = [];
    const varint = (value) => {
        for (let left = BigInt(value); ; left >>= 7n) {
            out.push(Number(left & 127n) | (left > 127n ? 128 : 0));
            if (left <= 127n) return;
        }
    };
    for (const [number, value] of fields) {
        varint((number << 3) | (typeof value === "number" ? 0 : 2));
        if (typeof value === "number") varint(value);
        else {
            const bytes = Buffer.from(value);
            varint(bytes.length);
            out.push(...bytes);
        }
    }
    return Buffer.from(out).toString("hex");
}

// ---- the protocol ----

test("a session begins with hello, and nothing is answered before", async () => {
    const client = await open("player=early");
    await client.fails(-32001, "topic.subscribe", { topic: "system" });
    const hello = await client.call("session.hello", { client: "test 1" });
    assert.match(hello.session, /^[0-9a-f]{32}$/);
    assert.match(hello.ticket, /^[0-9a-f]{48}$/);
    assert.equal(hello.player, "early");
    assert.equal(hello.role, "player");
    assert.equal(hello.resumed, false);
    await client.fails(-32007, "session.hello", {});
    assert.deepEqual(await client.call("session.close"), {});
    assert.deepEqual(await client.closed, { code: 1000, reason: "good bye" });
});

test("errors are those of the specification", async () => {
    const client = await join("player=errors");
    const cases = [
        ["{", -32700, null], ["[1,", -32700, null], ["[]", -32600, null], ["1", -32600, null], ["[1]", [-32600]],
        ['{"jsonrpc":"2.0","method":1,"id":7}', -32600, 7], ['{"jsonrpc":"1.0","method":"x","id":"a"}', -32600, "a"],
        ['{"jsonrpc":"2.0","method":"x","params":1,"id":8}', -32600, 8], ['{"jsonrpc":"2.0","method":"x","id":1.5}', -32600, null],
        ['{"jsonrpc":"2.0","method":"x","id":[]}', -32600, null], ['{"jsonrpc":"2.0","method":"voice.sing","id":9}', -32601, 9],
        ['{"jsonrpc":"2.0","method":"topic.subscribe","params":{},"id":null}', -32602, null],
        ['{"jsonrpc":"2.0","method":"topic.subscribe","params":{"topic":"a","topic":"b"},"id":1}', -32700, null],
        ['{"jsonrpc":"2.0","method":"topic.subscribe","params":["a","b","c"],"id":10}', -32602, 10],
        ['{"jsonrpc":"2.0","method":"topic.subscribe","params":{"topic":5},"id":11}', -32602, 11],
        ['{"jsonrpc":"2.0","method":"topic.subscribe","params":{"topic":"chat.x","more":1},"id":12}', -32602, 12],
        ["[".repeat(40) + "]".repeat(40), -32700, null],
    ];
    for (const [text, code, id] of cases) {
        client.others.length = 0;
        client.answers.clear();
        client.raw(text);
        const [answer] = await until(`an answer to ${text}`, () => client.others.length && client.others);
        if (Array.isArray(code)) {
            assert.deepEqual(answer.map((one) => one.error.code), code, text);
        } else {
            assert.equal(answer.error?.code, code, text + JSON.stringify(answer));
            assert.equal(answer.id, id, text);
            assert.equal(answer.jsonrpc, "2.0");
        }
    }
    client.socket.close();
});

test("batches are answered together, notifications not at all, parameters go by name or position", async () => {
    const client = await join("player=batch");
    const request = (id, topic) => ({ jsonrpc: "2.0", id, method: "topic.subscribe", params: [topic] });
    client.raw(JSON.stringify([request("a", "chat.one"), { jsonrpc: "2.0", method: "topic.subscribe", params: { topic: "chat.two" } },
                               { foo: 1 }, request("b", "nowhere")]));
    const [answers] = await until("the batch", () => client.others.length && client.others);
    assert.deepEqual(answers.map((one) => [one.id, one.error?.code]), [["a", undefined], [null, -32600], ["b", -32002]]);
    client.others.length = 0;
    client.raw(JSON.stringify([{ jsonrpc: "2.0", method: "topic.unsubscribe", params: { topic: "chat.one" } }]));
    client.raw(JSON.stringify({ jsonrpc: "2.0", method: "nonsense" }));
    await client.fails(-32003, "topic.unsubscribe", { topic: "chat.one" }); // the notification was done
    assert.deepEqual(await client.call("topic.unsubscribe", { topic: "chat.two" }), {});
    assert.equal(client.others.length, 0);
    client.raw(JSON.stringify(Array(65).fill(request(1, "chat.x"))));
    assert.equal((await until("a refusal", () => client.others[0])).error.code, -32600);
    client.socket.close();
});

test("rpc.discover describes every method", async () => {
    const client = await join("player=reader");
    const document = await client.call("rpc.discover");
    const names = document.methods.map((one) => one.name);
    for (const name of ["session.hello", "event.publish", "topic.subscribe", "topic.unsubscribe", "presence.set", "presence.get",
                        "presence.watch", "state.subscribe", "rpc.discover"]) assert.ok(names.includes(name), name);
    for (const method of document.methods) {
        assert.ok(method.summary && method.result.schema && Array.isArray(method.params), method.name);
        for (const param of method.params) assert.ok(param.schema.type, method.name + "." + param.name);
    }
    assert.match(document.openrpc, /^1\./);
    client.socket.close();
});

test("broken UTF-8 closes 1007, binary 1008, too large 1009", async () => {
    const broken = await join("player=broken");
    broken.socket._sender.sendFrame([Buffer.from([0x81, 0x81, 0, 0, 0, 0]), Buffer.from([0xff])]);
    assert.equal((await broken.closed).code, 1007);
    const binary = await join("player=binary");
    binary.socket.send(Buffer.from([1, 2, 3]));
    assert.equal((await binary.closed).code, 1008);
    const large = await join("player=large");
    large.raw(JSON.stringify("x".repeat(70000)));
    assert.equal((await large.closed).code, 1009);
});

// ---- topics, events ----

test("a JSON-RPC client and a native client hear each other", async () => {
    const client = await join("player=web");
    const udp = native("udp");
    const hello = await udp.call("session.hello", {});
    assert.match(hello.player, /^#[0-9a-f]{16}$/);
    await client.call("topic.subscribe", { topic: "chat.both" });
    await udp.call("topic.subscribe", { topic: "chat.both" });
    const sent = await client.call("event.publish", { topic: "chat.both", type: "chat.message", data: { text: "grüß dich", reply_to: 5 } });
    const [message] = await until("the native client to hear", () => udp.messages("necpnet.event").length && udp.messages("necpnet.event"));
    const fields = decode(message);
    assert.equal(String(field(fields, 1)), "chat.both");
    assert.equal(Number(field(fields, 2)), sent.epoch);
    assert.equal(Number(field(fields, 3)), sent.offset);
    assert.equal(Number(field(fields, 4)), 401);
    assert.equal(Number(field(fields, 5)), 2);
    assert.ok(Math.abs(Number(field(fields, 6)) - Date.now()) < 60000);
    assert.equal(String(field(fields, 7)), "web");
    const data = decode(field(fields, 8));
    assert.equal(String(field(data, 1)), "grüß dich");
    assert.equal(field(data, 2), 10n); // zigzag
    client.notifications.length = 0;
    // back, as bytes
    udp.write("@necpnet.event " + encode([[1, "chat.both"], [4, 401], [5, 1], [8, Buffer.from(encode([[1, "hello web"]]), "hex")]]));
    const [heard] = await until("the web client to hear", () => client.told("topic.message").length && client.told("topic.message"));
    assert.equal(heard.topic, "chat.both");
    assert.equal(heard.offset, sent.offset + 1);
    assert.deepEqual({ ...heard.event, time: 0 },
                     { type: "chat.message", version: 1, category: "chat", time: 0, from: hello.player, data: { text: "hello web" } });
    // and by the same methods
    await udp.call("event.publish", { topic: "chat.both", type: "player.emote", data: { emote: "wave" } });
    await until("the emote", () => client.told("topic.message").find((one) => one.event.type === "player.emote"));
    // a wrong event is answered, not published
    udp.write("@necpnet.event " + encode([[1, "chat.both"], [4, 401], [5, 1]]));
    udp.write("@necpnet.event ffff");
    udp.write("@necpnet.event " + encode([[1, "system"], [4, 401], [5, 1], [8, Buffer.from(encode([[1, "x"]]), "hex")]]));
    await until("refusals", () => udp.answers().filter((one) => one.id === null && one.error).length === 3);
    assert.deepEqual(udp.answers().filter((one) => one.error).map((one) => one.error.code), [-32602, -32602, -32002]);
    // presence, both ways
    await client.call("presence.watch", { players: [hello.player] });
    const [seen] = (await until("presence", () => client.told("presence.changed").length && client.told("presence.changed")))[0].players;
    assert.equal(seen.status, "online");
    await udp.call("presence.watch", { players: ["web"] });
    await client.call("presence.set", { status: "busy", zone: 7 });
    await until("binary presence", () => udp.messages("necpnet.presence").find((bytes) => (bytes[9] & 15) === 3 && bytes[10] === 7));
    await udp.stop();
    await until("offline", () => client.told("presence.changed").some((one) => one.players[0].status === "offline"));
    client.socket.close();
});

test("a subscriber recovers what it missed, or learns that it cannot", async () => {
    const writer = await join("player=writer");
    const post = (text) => writer.call("event.publish", { topic: "game.log", type: "game.action", data: { action: text } });
    const first = await post("0");
    for (let i = 1; i < 10; i++) await post(String(i));
    const late = await join("player=late");
    const answer = await late.call("topic.subscribe", { topic: "game.log", since: { epoch: first.epoch, offset: 4 } });
    assert.deepEqual(answer, { epoch: first.epoch, offset: 10, recovered: true });
    await until("six messages", () => late.told("topic.message").length === 6);
    assert.deepEqual(late.told("topic.message").map((one) => one.offset), [5, 6, 7, 8, 9, 10]);
    await late.call("topic.unsubscribe", { topic: "game.log" });
    assert.equal((await late.call("topic.subscribe", { topic: "game.log", since: { epoch: 1, offset: 4 } })).recovered, false);
    await late.call("topic.unsubscribe", { topic: "game.log" });
    for (let i = 0; i < 1028; i++) writer.ask("event.publish", { topic: "game.log", type: "game.action", data: { action: "more" } });
    await post("last");
    assert.equal((await late.call("topic.subscribe", { topic: "game.log", since: { epoch: first.epoch, offset: 2 } })).recovered, false);
    const [gap] = await until("the gap", () => late.told("topic.gap").length && late.told("topic.gap"));
    assert.deepEqual([gap.topic, gap.from, gap.to], ["game.log", 3, 1039 - 1024]);
    for (const one of [writer, late]) one.socket.close();
});

test("a publish that is repeated with its key is done once", async () => {
    const client = await join("player=twice");
    const params = { topic: "game.once", type: "game.action", data: { action: "buy", arguments: { gold: 5, deep: [1, { a: null }] } }, key: "k1" };
    const one = await client.call("event.publish", params);
    assert.deepEqual(await client.call("event.publish", params), one);
    assert.notDeepEqual(await client.call("event.publish", { ...params, key: "k2" }), one);
    client.socket.close();
});

test("in development a page of another site is a player, whatever it says", async () => {
    for (const [origin, role] of [["https://evil.example", "player"], ["http://localhost.evil.example", "player"], ["null", "player"],
                                  ["http://localhost:3000", "admin"], ["http://127.0.0.1", "admin"]]) {
        const page = await join("player=page&role=admin", { origin });
        assert.equal(page.hello.role, role, origin);
        page.socket.close();
        await page.closed;
    }
});

test("roles and topics are kept apart", async () => {
    const player = await join("player=pete");
    const admin = await join("player=ada&role=admin");
    await player.fails(-32002, "topic.subscribe", { topic: "player.ada" });
    await player.fails(-32002, "topic.subscribe", { topic: "admin.alarms" });
    await player.fails(-32002, "topic.subscribe", { topic: "state" });
    await player.fails(-32602, "topic.subscribe", { topic: "chat..x" });
    await player.call("topic.subscribe", { topic: "player.pete" });
    await player.fails(-32007, "topic.subscribe", { topic: "player.pete" });
    await player.fails(-32002, "event.publish", { topic: "system", type: "system.notice", data: { text: "I am the admin" } });
    await player.fails(-32002, "event.publish", { topic: "chat.x", type: "system.notice", data: { text: "I am the admin" } });
    await player.fails(-32002, "event.publish", { topic: "zone.4", type: "player.emote", data: { emote: "bow" } });
    await player.call("presence.set", { zone: 4 });
    await player.call("event.publish", { topic: "zone.4", type: "player.emote", data: { emote: "bow" } });
    await player.fails(-32002, "event.publish", { topic: "zone.5", type: "player.emote", data: { emote: "bow" } });
    for (const method of ["session.list", "session.end", "presence.friends"]) {
        await player.fails(-32002, method, { session: "x", player: "x", players: ["x"] }.constructor === Object &&
            (method === "session.list" ? {} : method === "session.end" ? { session: "x" } : { player: "x", players: ["y"] }));
    }
    await admin.call("event.publish", { topic: "player.pete", type: "system.notice", data: { text: "well done" } });
    await until("the notice", () => player.told("topic.message").find((one) => one.topic === "player.pete"));
    const { sessions } = await admin.call("session.list", {});
    const his = sessions.find((one) => one.player === "pete");
    assert.equal(his.status, "active");
    await admin.call("session.end", { session: his.session });
    assert.equal((await player.closed).code, 4005);
    admin.socket.close();
});

// ---- presence, state ----

test("friends hear within a second; invisible is offline", async () => {
    const admin = await join("player=friendmaker&role=service");
    const ann = await join("player=ann");
    const bob = await join("player=bob");
    await ann.call("presence.set", { status: "online" });
    await bob.call("presence.set", { status: "invisible" });
    assert.deepEqual(await admin.call("presence.friends", { player: "ann", players: ["bob", "carl"] }), { changed: 2 });
    await until("bob hears of ann", () => bob.told("presence.changed").some((one) => one.players.some((p) => p.player === "ann")));
    const seen = async () => (await ann.call("presence.get", { players: ["bob", "nobody-at-all"] })).players;
    assert.deepEqual(await seen(), [{ player: "bob", status: "offline" }, { player: "#" + (await seen())[1].player.slice(1), status: "offline" }]);
    await bob.call("presence.set", { status: "away", location: "the café" });
    const change = await until("ann hears of bob", () => ann.told("presence.changed").flatMap((one) => one.players).find((one) => one.player === "bob"));
    assert.equal(change.status, "away");
    assert.equal(change.location, "the café");
    bob.socket.terminate();
    await sleep(500);
    assert.equal((await seen())[0].status, "away"); // grace
    await until("bob offline", async () => (await seen())[0].status === "offline");
    for (const one of [admin, ann]) one.socket.close();
});

test("the world comes whole, then as changes", async () => {
    const client = await join("player=watcher");
    const { state } = await client.call("state.subscribe");
    assert.ok(state.entities.length >= 3);
    const known = new Map(state.entities.map((one) => [one.entity, one]));
    assert.ok([...known.values()].every((one) => one.type && one.fields));
    const udp = native("joiner");
    await udp.call("session.hello");
    const fresh = await until("the joiner's entity", () => client.told("state.changed").flatMap((one) => one.state.entities)
        .find((one) => !known.has(one.entity) && one.fields.name === "joiner"));
    assert.equal(fresh.type, "player");
    await udp.stop();
    await until("it to go", () => client.told("state.changed").some((one) => one.state.gone.includes(fresh.entity)));
    const told = client.told("state.changed");
    assert.deepEqual(told.map((one) => one.offset), told.map((one, i) => told[0].offset + i)); // none is missing
    const partial = told.flatMap((one) => one.state.entities).filter((one) => known.has(one.entity));
    assert.ok(partial.length && partial.every((one) => !("colour" in one.fields))); // changes only
    await client.call("state.unsubscribe");
    client.socket.close();
});

// ---- sessions ----

test("a lost client resumes: subscriptions and messages are all there", async () => {
    const writer = await join("player=scribe");
    const reader = await join("player=reader2");
    await reader.call("topic.subscribe", { topic: "chat.saga" });
    await reader.call("presence.set", { status: "busy" });
    const post = (text) => writer.call("event.publish", { topic: "chat.saga", type: "chat.message", data: { text } });
    await post("one");
    const [one] = await until("the first", () => reader.told("topic.message").length && reader.told("topic.message"));
    reader.socket.terminate();
    await reader.closed;
    for (const text of ["two", "three", "four"]) await post(text);
    const again = await open("player=reader2");
    const wrong = await open("player=scoundrel");
    const resume = { session: reader.hello.session, ticket: reader.hello.ticket };
    assert.equal((await wrong.call("session.hello", { resume })).resumed, false); // another's ticket is worth nothing
    const hello = await again.call("session.hello", { resume, positions: { "chat.saga": { epoch: one.epoch, offset: one.offset } } });
    assert.equal(hello.resumed, true);
    assert.equal(hello.session, reader.hello.session);
    assert.equal(hello.topics["chat.saga"].recovered, true);
    await until("three more", () => again.told("topic.message").length === 3);
    assert.deepEqual(again.told("topic.message").map((m) => m.event.data.text), ["two", "three", "four"]);
    assert.equal((await writer.call("presence.get", { players: ["reader2"] })).players[0].status, "busy");
    const third = await open("player=reader2"); // the old ticket is spent
    assert.equal((await third.call("session.hello", { resume })).resumed, false);
    assert.equal((await again.closed).code, 4001); // and a second login takes over
    for (const client of [writer, wrong, third]) client.socket.close();
});

test("who does not come back is forgotten, and its presence too", async () => {
    const client = await join("player=gone");
    await client.call("presence.set", {});
    client.socket.terminate();
    const admin = await join("player=ada2&role=admin");
    await until("the session to wait", async () => (await admin.call("session.list", {})).sessions.some((one) => one.status === "suspended"));
    await until("it to end", async () => !(await admin.call("session.list", {})).sessions.some((one) => one.player === "gone"));
    assert.ok((await admin.call("session.list", {})).figures.lost >= 1);
    admin.socket.close();
});

test("a native client that is killed is a session that waits, until it is forgotten", async () => {
    const admin = await join("player=ada3&role=admin");
    const figures = async () => (await admin.call("session.list", {})).figures;
    const lost = native("lost", "ws");
    await lost.call("session.hello", {});
    const before = await figures();
    lost.kill();
    await until("its session to wait", async () => (await figures()).suspended === before.suspended + 1);
    assert.equal((await figures()).sessions, before.sessions);
    await until("it to be forgotten", async () => (await figures()).sessions === before.sessions - 1);
    assert.equal((await figures()).suspended, before.suspended);
    admin.socket.close();
});

// ---- production: JWT, limits ----

test("a JWT is wanted, in any of three places", async () => {
    const refused = async (options, query = "") => {
        await assert.rejects(open(query, { at: production, ...options }), (error) => error.status === 401, query);
    };
    await refused({});
    await refused({}, "access_token=nonsense");
    await refused({ headers: { Authorization: "Bearer " + jwt({ sub: "x", exp: 1 }) } });
    await refused({ headers: { Authorization: "Bearer " + jwt({ sub: "x", iss: "other" }) } });
    await refused({}, "player=root&role=admin");
    const token = jwt({ sub: "u-1" });
    for (const [query, options] of [["", { headers: { Authorization: "Bearer " + token } }], ["access_token=" + token, {}],
                                    ["", { protocols: ["jsonrpc2.necpnet", "necpnet.bearer." + token] }]]) {
        const client = await open(query, { at: production, ...options });
        const hello = await client.call("session.hello", {});
        assert.equal(hello.player, "u-1");
        await client.fails(-32002, "state.subscribe");
        client.socket.close();
        await client.closed;
    }
});

test("an expired JWT ends the session", async () => {
    const client = await open("access_token=" + jwt({ sub: "short", exp: Math.floor(Date.now() / 1000) + 2 }), { at: production });
    await client.call("session.hello", {});
    assert.equal((await client.closed).code, 4002);
});

test("too many calls are refused with the time to wait", async () => {
    const client = await open("access_token=" + jwt({ sub: "hasty" }), { at: production });
    await client.call("session.hello", {});
    const answers = await Promise.all(Array.from({ length: 60 }, () => client.ask("presence.get", { players: ["x"] })));
    const refused = answers.filter((one) => one.error);
    assert.ok(refused.length >= 15 && refused.length < 60);
    for (const one of refused) {
        assert.equal(one.error.code, -32005);
        assert.ok(one.error.data.retry_after_ms > 0);
    }
    await until("it is let in again", async () => !(await client.ask("presence.get", { players: ["x"] })).error);
    client.socket.close();
});

test("protocol and compression choose", async () => {
    const token = jwt({ sub: "chooser" });
    const connectWith = (query, options) => open(`access_token=${token}&${query}`, { at: production, perMessageDeflate: true, ...options });
    for (const [query, extensions] of [["compression=gzip", "permessage-deflate"], ["protocol=jsonrpc&compression=none", ""],
                                       ["protocol=jsonrpc", "permessage-deflate"]]) {
        const client = await connectWith(query);
        assert.ok(client.socket.extensions.startsWith(extensions) && !!client.socket.extensions === !!extensions, query + client.socket.extensions);
        assert.equal((await client.call("session.hello", {})).player, "chooser");
        client.socket.close();
        await client.closed;
    }
    const plain = await connectWith("protocol=jsonrpc", { protocols: [] });
    assert.equal(plain.socket.protocol, "");
    plain.socket.close();
    const binary = await connectWith("protocol=game-events&compression=lz4", { protocols: ["necpnet.v1"] });
    assert.equal(binary.socket.protocol, "necpnet.v1");
    binary.socket.terminate();
    for (const query of ["protocol=soap", "compression=brotli", "protocol=jsonrpc&compression=lz4"]) {
        await assert.rejects(connectWith(query), (error) => error.status === 400, query);
    }
    await assert.rejects(connectWith("protocol=game-events"), (error) => error.status === 400);
});

test("a client that does not read falls behind alone and is told of the gap", async () => {
    const slow = await join("player=slow");
    const quick = await join("player=quick");
    const writer = await join("player=fountain&role=service");
    for (const one of [slow, quick]) await one.call("topic.subscribe", { topic: "game.flood" });
    slow.socket._socket.pause();
    const data = { action: "x", arguments: { much: "y".repeat(4000) } };
    const total = 3000;
    for (let i = 0; i < total; i += 50) {
        await Promise.all(Array.from({ length: 50 }, () => writer.call("event.publish", { topic: "game.flood", type: "game.action", data })));
    }
    await until("the quick one to have all", () => quick.told("topic.message").length === total, 20000);
    slow.socket._socket.resume();
    await until("the slow one to reach the end", () => slow.told("topic.message").some((one) => one.offset === total), 20000);
    const gaps = slow.told("topic.gap");
    const lost = gaps.reduce((sum, one) => sum + one.to - one.from + 1, 0);
    assert.ok(gaps.length > 0);
    assert.equal(slow.told("topic.message").length + lost, total); // each message came, or is named as lost
    for (const one of [slow, quick, writer]) one.socket.close();
});

// ---- groups, matchmaking, workers ----

test("groups: create, invite, join, lead, leave", async () => {
    const lea = await join("player=lea");
    const max = await join("player=max");
    const eve = await join("player=eve");
    const { group } = await lea.call("group.create", { size: 3 });
    await max.fails(-32002, "group.join", { group });
    await max.fails(-32003, "group.invite", { group, player: "max" });
    await lea.call("group.invite", { group, player: "max" });
    await until("the invitation", () => max.told("group.changed").some((one) => one.what === "invited"));
    assert.deepEqual((await max.call("group.join", { group })).members, ["lea", "max"]);
    await max.fails(-32007, "group.join", { group });
    await max.fails(-32002, "group.leader", { group, player: "max" });
    await max.call("topic.subscribe", { topic: `group.${group}` });
    await eve.fails(-32002, "topic.subscribe", { topic: `group.${group}` });
    await lea.call("event.publish", { topic: `group.${group}`, type: "chat.message", data: { text: "psst" } });
    await until("the whisper", () => max.told("topic.message").length === 1);
    assert.equal((await lea.call("group.leader", { group, player: "max" })).leader, "max");
    await lea.call("group.leave", { group });
    assert.deepEqual((await max.call("group.list")).groups, [{ group, size: 3, open: false, leader: "max", members: ["max"] }]);
    const open = await eve.call("group.create", { open: true });
    await lea.call("group.join", { group: open.group });
    await eve.call("group.leave", { group: open.group, player: "lea" }); // sent away by the leader
    await until("lea to hear", () => lea.told("group.changed").some((one) => one.what === "left" && one.player === "lea"));
    await lea.call("group.join", { group: open.group });
    await eve.call("session.close");
    await until("the lead to pass", async () => (await lea.call("group.list")).groups[0]?.leader === "lea");
    await max.fails(-32003, "group.join", { group: 4000000000 });
    for (const one of [lea, max]) one.socket.close();
});

test("a matchmaker outside is asked, and places players", async () => {
    const one = await join("player=one");
    const two = await join("player=two");
    await one.fails(-32006, "match.request", { queue: "duel" });
    const maker = await join("player=maker&role=service");
    await maker.call("topic.subscribe", { topic: "admin.match" });
    for (const player of [one, two]) {
        await player.call("topic.subscribe", { topic: `player.${player.hello.player}` });
        await player.call("match.request", { queue: "duel", data: { skill: 5 } });
    }
    await until("both wishes", () => maker.told("topic.message").length === 2);
    const wishes = maker.told("topic.message").map((message) => message.event.data);
    assert.deepEqual(wishes, [{ player: "one", queue: "duel", data: { skill: 5 } }, { player: "two", queue: "duel", data: { skill: 5 } }]);
    await one.fails(-32002, "match.place", { players: ["one", "two"] });
    const group = await maker.call("match.place", { players: wishes.map((wish) => wish.player), queue: "duel", data: { url: "udp://x:1" } });
    for (const player of [one, two]) {
        const found = await until("the match", () => player.told("topic.message").find((message) => message.event.type === "game.match_found"));
        assert.deepEqual(found.event.data, { queue: "duel", data: { url: "udp://x:1" }, group: group.group });
        assert.equal((await player.call("group.list")).groups[0].group, group.group);
    }
    for (const client of [one, two, maker]) client.socket.close();
});

test("workers hear each other: events, presence, who is where", async () => {
    const crew = await start(["--workers", "2", "--bots", "0", "--resume-window-ms", "1000"]);
    try {
        const clients = new Map(); // by node
        for (let i = 0; i < 40 && clients.size < 2; i++) {
            const client = await join(`player=p${i}&role=admin`, { at: crew });
            const { node } = await client.call("registry.nodes");
            if (clients.has(node)) client.socket.close();
            else clients.set(node, Object.assign(client, { name: `p${i}`, node }));
        }
        assert.equal(clients.size, 2);
        const [one, two] = clients.values();
        await until("both to know both", async () => (await one.call("registry.nodes")).nodes.length === 2 && (await two.call("registry.nodes")).nodes.length === 2);
        const owner = (await one.call("registry.nodes", { key: "zone.7" })).owner;
        assert.equal((await two.call("registry.nodes", { key: "zone.7" })).owner, owner);
        await two.call("topic.subscribe", { topic: "chat.all" });
        await one.call("event.publish", { topic: "chat.all", type: "chat.message", data: { text: "over there?" } });
        const [heard] = await until("the other worker to hear", () => two.told("topic.message").length && two.told("topic.message"));
        assert.equal(heard.event.from, one.name);
        assert.deepEqual(heard.event.data, { text: "over there?" });
        await two.call("presence.watch", { players: [one.name] });
        await one.call("presence.set", { status: "busy", zone: 9 });
        const seen = (want) => until(`${want} over there`, () => two.told("presence.changed").flatMap((told) => told.players)
            .find((player) => player.player === one.name && player.status === want));
        assert.equal((await seen("busy")).zone, 9);
        await one.call("presence.set", { status: "invisible" });
        await seen("offline");
        await one.call("presence.set", { status: "away" });
        await seen("away");
        await until("the registry", async () => (await two.call("registry.find", { players: [one.name] })).players[0].nodes[0] === one.node);
        two.notifications.length = 0;
        one.socket.terminate();
        await seen("offline"); // after the grace of a second
        await until("the registry to forget", async () => (await two.call("registry.find", { players: [one.name] })).players[0].nodes.length === 0);
    } finally {
        await crew.stop();
    }
});

// ---- partner services ----

test("friends and guild rights come from partner services, and what they are told arrives", async () => {
    const asked = [];
    const told = [];
    let sick = false;
    const peer = http.createServer((request, response) => {
        let body = "";
        request.on("data", (data) => (body += data));
        request.on("end", () => {
            asked.push(`${request.method} ${request.url}`);
            if (request.headers.authorization !== "Bearer of-a-service") response.writeHead(401).end();
            else if (sick) response.writeHead(500).end();
            else if (request.url === "/p/players/ann%20b/friends") response.end(JSON.stringify({ friends: ["bob", 5, "carl"] }));
            else if (request.url === "/g/players/ann%20b/guilds") response.end(JSON.stringify({ guilds: [{ id: "red", rights: ["chat"] }, { id: "blue", rights: [] }] }));
            else if (request.method === "POST") {
                told.push([request.url, JSON.parse(body)]);
                response.end("{}");
            } else response.writeHead(404).end();
        });
    });
    await new Promise((resolve) => peer.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${peer.address().port}`;
    const at = await start(["--bots", "0", "--partner-player-url", url + "/p", "--partner-guild-url", url + "/g", "--partner-analytics-url", url + "/a",
                            "--partner-notification-url", url + "/n", "--partner-timeout-ms", "500"], { NECPNET_PARTNER_TOKEN: "of-a-service" });
    try {
        const ann = await join("player=" + "ann%20b", { at }).catch((error) => error);
        const name = ann.hello ? ann.hello.player : null;
        assert.equal(name, "ann b");
        await ann.call("presence.set", {});
        const bob = await join("player=bob", { at });
        await bob.call("presence.set", {});
        await until("ann hears of her friend", () => ann.told("presence.changed").flatMap((one) => one.players).some((one) => one.player === "bob"));
        await until("her guilds", async () => !(await ann.ask("topic.subscribe", { topic: "guild.red" })).error);
        await ann.call("topic.subscribe", { topic: "guild.blue" });
        await ann.call("event.publish", { topic: "guild.red", type: "chat.message", data: { text: "hear, hear" } });
        await ann.fails(-32002, "event.publish", { topic: "guild.blue", type: "chat.message", data: { text: "may I?" } });
        await bob.fails(-32002, "topic.subscribe", { topic: "guild.red" });
        const { group } = await bob.call("group.create", {});
        await bob.call("group.invite", { group, player: "absent" });
        await bob.call("group.invite", { group, player: "ann b" }); // is here: not notified
        await bob.call("session.close");
        await until("both to be told", () => told.length === 2);
        assert.deepEqual(told.find(([path]) => path === "/n/notifications")[1], { player: "absent", type: "group.invited", data: { group } });
        const summary = told.find(([path]) => path === "/a/sessions")[1];
        assert.equal(summary.player, "bob");
        assert.equal(summary.protocol, "jsonrpc");
        // the breaker: after five failures nobody is asked any more; players notice nothing
        sick = true;
        const before = asked.length;
        for (let i = 0; i < 12; i++) {
            const one = await join(`player=x${i}`, { at });
            await one.call("presence.set", {});
            await until("the question", () => asked.length > before || i > 0);
            await sleep(20);
            one.socket.close();
        }
        const friends = asked.slice(before).filter((one) => one.startsWith("GET /p")).length;
        assert.ok(friends >= 5 && friends <= 8, `${friends} asked`);
    } finally {
        await at.stop();
        peer.close();
        peer.closeAllConnections();
    }
});

test("partner services that are away cost nobody a session", async () => {
    const at = await start(["--bots", "0", "--partner-player-url", "http://127.0.0.1:1", "--partner-guild-url", "http://127.0.0.1:1"]);
    try {
        const client = await join("player=alone", { at });
        await client.call("presence.set", {});
        await client.fails(-32002, "topic.subscribe", { topic: "guild.red" });
        client.socket.close();
    } finally {
        assert.deepEqual(await at.stop(), { code: 0, signal: null });
    }
});
