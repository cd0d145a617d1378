// server_crafting - crafting over everything that serves it: REST, WebSockets of sessions and queues, JSON-RPC, packets over UDP to
// a native client, events. Aim: what is told is what is so, to each device of a user and to nobody else; every mistake is named; a
// kill -9 under load loses no acknowledged write, and clients that come back have it all; an erased player is gone.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import WebSocket from "ws";
import { checked, description, validate } from "./api_description.mjs";
import { hs256, make, now } from "./jwt.mjs";
import { BUILD, count, scratch, sleep, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const folder = scratch();
const options = ["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--take-over", "allow",
                 "--rate-read", "0", "--rate-write", "0", "--rate-token", "0", "--rate-admin", "0", "--bots", "0"];
const token = (sub, role = "player") => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600, jti: randomUUID() }, hs256(SECRET));
const as = (sub, role, body) => ({
    headers: { Authorization: `Bearer ${token(sub, role)}`, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body && JSON.stringify(body),
});
const service = (body) => as("crafting", "service", body);
const schemas = description.components.schemas;
const HOUR = 3600000;
let server;

before(async () => {
    server = await start(options, { JWT_SECRET: SECRET });
});
after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
});

async function begin(session, at = server) {
    const reply = await checked(at.base, "POST", "/api/v1/crafting/sessions", service({ recipe: "sword", duration_ms: HOUR, ...session }));
    assert.equal(reply.status, 201, reply.text);
    return reply.json;
}
const progress = (id, body, at = server) => checked(at.base, "POST", `/udp/sessions/${id}/progress`, service(body));
const supply = (id, available, at = server) => checked(at.base, "POST", `/udp/sessions/${id}/materials`, service({ available }));

// A WebSocket of crafting; every message is held against the description.
async function open(target, sub, { role = "player", port = server.port } = {}) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${target}${target.includes("?") ? "&" : "?"}access_token=${token(sub, role)}`);
    const client = { socket, messages: [], closed: new Promise((resolve) => socket.on("close", (code) => resolve(code))) };
    socket.on("message", (data) => {
        const message = JSON.parse(data);
        validate(message.type === "queue" ? schemas.WebSocketQueueMessage : schemas.WebSocketCraftingMessage, message, "a message");
        client.messages.push(message);
    });
    client.of = (type, full) => client.messages.filter((one) => one.type === type && (full === undefined || one.full === full));
    await new Promise((resolve, reject) => {
        socket.on("open", resolve);
        socket.on("error", reject);
    });
    return client;
}

const refusal = (target, headers = {}) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${target}`, { headers });
    socket.on("unexpected-response", (request, response) => {
        let text = "";
        response.on("data", (data) => (text += data));
        response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    socket.on("open", () => reject(new Error(`${target} was opened`)));
    socket.on("error", () => {});
});

test("two devices of a user see the same: the whole, then what time changes, then each change at once", async () => {
    await begin({ player_id: "ada", session_id: "two", materials: { iron: 5, wood: 2 } });
    const devices = [await open("/ws/crafting/two?hz=30", "ada"), await open("/api/v1/network/ws/crafting/two?hz=60&compression=none", "ada")];
    for (const one of devices) {
        await until("deltas", () => one.of("progress", false).length >= 10);
        const whole = one.messages[0];
        assert.deepEqual([whole.type, whole.full, whole.progress.status, whole.progress.duration_ms], ["progress", true, "active", HOUR]);
        assert.deepEqual(one.of("materials")[0].materials.map((each) => [each.material, each.required, each.available, each.enough]),
                         [["iron", 5, 0, false], ["wood", 2, 0, false]]);
        // what is told in between is what the course foretells
        for (const delta of one.of("progress", false)) {
            const foretold = (whole.progress.work_ms + (delta.timestamp_us - whole.timestamp_us) / 1000) / HOUR * 1e6;
            assert.ok(Math.abs(foretold - delta.progress.progress_ppm) <= 2, `${foretold} ${delta.progress.progress_ppm}`);
        }
        const sequences = one.messages.map((each) => each.sequence);
        assert.deepEqual(sequences, sequences.map((_, index) => index + 1), "without a gap");
    }
    assert.equal((await supply("two", { iron: 7 })).json.materials[0].enough, true);
    assert.equal((await progress("two", { progress_ppm: 500000, speed_permille: 2000 })).json.progress.progress_ppm, 500000);
    for (const one of devices) {
        await until("the change", () => one.of("progress", true).some((each) => each.progress.speed_permille === 2000 && each.progress.progress_ppm >= 500000));
        await until("the iron", () => one.of("materials", false).length === 1);
        assert.deepEqual(one.of("materials", false)[0].materials, [{ material: "iron", required: 5, available: 7, enough: true }]);
        const wholes = one.of("progress", true).length;
        one.socket.send("again, please");
        await until("the whole again", () => one.of("progress", true).length > wholes);
    }
    assert.equal((await checked(server.base, "POST", "/api/v1/crafting/sessions/two/pause", as("ada"))).json.progress.status, "paused");
    for (const one of devices) await until("the pause", () => one.of("progress", true).some((each) => each.progress.status === "paused" && each.progress.remaining_ms === null));
    assert.equal((await checked(server.base, "DELETE", "/api/v1/crafting/sessions/two", as("ada"))).json.progress.status, "cancelled");
    for (const one of devices) {
        await until("the end", () => one.of("progress", true).some((each) => each.progress.status === "cancelled"));
        one.socket.close();
    }
});

test("the queue is told with places and times, and goes on by itself", async () => {
    const watch = await open("/ws/queue/quinn", "quinn");
    const lookers = await open("/ws/queue/quinn", "boss", { role: "admin" });
    await begin({ player_id: "quinn", session_id: "q1", duration_ms: 700 });
    await begin({ player_id: "quinn", session_id: "q2", duration_ms: 100 });
    const third = await begin({ player_id: "quinn", session_id: "q3", duration_ms: HOUR });
    assert.deepEqual([third.queue.position, third.queue.length, third.progress.status], [2, 2, "queued"]);
    assert.ok(third.queue.estimated_start_ms <= 800 && third.queue.estimated_end_ms > HOUR);
    for (const one of [watch, lookers]) {
        await until("all three", () => one.messages.some((each) => each.queue.entries.length === 3));
        await until("the third alone, running", () => one.messages.some((each) => each.queue.entries.length === 1 && each.queue.entries[0].session_id === "q3" && each.queue.running === 1));
        one.socket.close();
    }
    const queue = await checked(server.base, "GET", "/api/v1/crafting/queue/quinn", as("quinn"));
    assert.deepEqual(queue.json.entries.map((one) => [one.session_id, one.position]), [["q3", 0]]);
    const done = await checked(server.base, "GET", "/api/v1/crafting/sessions?status=completed&player_id=quinn&limit=1", service());
    assert.equal(done.json.sessions[0].session_id, "q1");
    const rest = await checked(server.base, "GET", `/api/v1/crafting/sessions?status=completed&cursor=${done.json.next_cursor}`, as("quinn"));
    assert.deepEqual(rest.json.sessions.map((one) => one.session_id), ["q2"]);
    assert.equal((await checked(server.base, "GET", "/api/v1/crafting/sessions?player_id=quinn", as("ada"))).status, 403);
});

test("WebSockets are for owners, services and admins; every mistake is named", async () => {
    await begin({ player_id: "ada", session_id: "mine" });
    await begin({ player_id: "bob", session_id: "bobs" });
    const bearer = (sub, role) => ({ Authorization: `Bearer ${token(sub, role)}` });
    for (const [target, headers, status, words] of [
        ["/ws/crafting/mine", {}, 401, /JWT/],
        ["/ws/crafting/mine", { Authorization: "Bearer x.y.z" }, 401, /./],
        ["/ws/crafting/bobs", bearer("ada"), 403, /somebody else/],
        ["/ws/crafting/none", bearer("ada"), 404, /no such/],
        ["/ws/crafting/none", bearer("boss", "admin"), 404, /no such/],
        ["/ws/queue/bob", bearer("ada"), 403, /somebody else/],
        ["/ws/queue/bob", {}, 401, /JWT/],
        ["/ws/crafting/mine?hz=0", bearer("ada"), 400, /^hz/],
        ["/ws/crafting/mine?hz=61", bearer("ada"), 400, /^hz/],
        ["/ws/crafting/mine?hz=x", bearer("ada"), 400, /^hz/],
        ["/ws/crafting/mine?hz=5&hz=6", bearer("ada"), 400, /^hz/],
        ["/ws/crafting/mine?compression=lz4", bearer("ada"), 400, /^compression/],
        ["/ws/crafting/mine?role=king", bearer("ada"), 400, /^role/],
        ["/ws/crafting/mine?player=%ff", bearer("ada"), 400, /^player/],
        ["/ws/crafting/mine?what=1", bearer("ada"), 400, /^what/],
        [`/ws/crafting/${"m".repeat(65)}`, bearer("ada"), 400, /^session_id/],
        ["/ws/crafting/a%20b", bearer("ada"), 400, /^session_id/],
        ["/ws/queue/%ff", bearer("ada"), 400, /^player_id/],
    ]) {
        const reply = await refusal(target, headers);
        assert.equal(reply.status, status, `${target}: ${reply.status} ${reply.text}`);
        assert.match(reply.text, words, target);
    }
    for (const [target, sub, role] of [["/ws/crafting/bobs", "crafting", "service"], ["/ws/crafting/bobs", "boss", "admin"], ["/ws/queue/bob", "crafting", "service"]]) {
        const one = await open(target, sub, { role });
        await until("a message", () => one.messages.length);
        one.socket.terminate();
    }
    assert.equal((await fetch(`${server.base}/ws/crafting/mine`, { headers: bearer("ada") })).status, 426);
    const many = await Promise.all(Array.from({ length: 16 }, () => open("/ws/crafting/mine", "ada")));
    assert.equal((await refusal("/ws/crafting/mine", bearer("ada"))).status, 429, "so many of one user");
    for (const one of many) one.socket.terminate();
    const hostile = await open("/ws/crafting/mine", "ada");
    for (let i = 0; i < 200; i++) hostile.socket.send(i % 2 ? Buffer.alloc(1000, 0xff) : "{");
    await until("the answers go on", () => hostile.of("progress", false).length > 3);
    hostile.socket.close();
});

test("players read progress and materials, the service writes them; wrong bodies are named", async () => {
    await begin({ player_id: "ada", session_id: "rules", materials: { "iron.ore": 65535 } });
    assert.equal((await checked(server.base, "POST", "/udp/sessions/rules/progress", as("ada"))).json.header.kind, "progress");
    assert.equal((await checked(server.base, "POST", "/udp/sessions/rules/progress", as("ada", "player", { progress_ppm: 999999 }))).status, 403);
    assert.equal((await checked(server.base, "POST", "/udp/sessions/rules/materials", as("ada", "player", { available: { "iron.ore": 9 } }))).status, 403);
    for (const [target, body, field] of [
        ["/udp/sessions/rules/materials", { available: { gold: 1 } }, "available"],
        ["/udp/sessions/rules/materials", { available: { "iron.ore": 65536 } }, "available"],
        ["/udp/sessions/rules/materials", { available: { "iron.ore": 1.5 } }, "available"],
        ["/udp/sessions/rules/materials", { available: { "iron.ore": "1" } }, "available"],
        ["/udp/sessions/rules/materials", { available: { "iron ore": 1 } }, "available"],
        ["/udp/sessions/rules/materials", { available: { "": 1 } }, "available"],
        ["/api/v1/crafting/sessions", { player_id: "ada", recipe: "x", duration_ms: 100, materials: { [`m${"x".repeat(32)}`]: 1 } }, "materials"],
        ["/api/v1/crafting/sessions", { player_id: "ada", recipe: "x", duration_ms: 100, materials: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`m${i}`, 1])) }, "materials"],
    ]) {
        const reply = await checked(server.base, "POST", target, service(body));
        assert.equal(reply.status, 400, reply.text);
        assert.equal(reply.json.details.field, field);
    }
    const twice = await checked(server.base, "POST", "/api/v1/crafting/sessions", service({ player_id: "eve", session_id: "rules", recipe: "x", duration_ms: 100 }));
    assert.equal(twice.status, 409);
    assert.equal((await progress("rules", { status: "failed" })).json.progress.status, "failed");
    assert.equal((await progress("rules", { speed_permille: 1 })).status, 409, "it has ended");
    assert.equal((await progress("none", {})).status, 404);
    assert.equal((await checked(server.base, "POST", "/udp/sessions/rules/connect", as("bob"))).status, 403);
});

// ---- JSON-RPC, and packets ----

async function rpc(sub, role = "player", resume) {
    const client = await openRpc(sub, role);
    client.hello = await client.call("session.hello", resume ? { resume } : {});
    return client;
}

async function openRpc(sub, role) {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws?access_token=${token(sub, role)}`, ["jsonrpc2.necpnet"]);
    const client = { socket, told: [] };
    const waiting = new Map();
    let last = 0;
    socket.on("message", (data) => {
        const message = JSON.parse(data);
        if (message.method) client.told.push(message);
        else waiting.get(message.id)?.(message);
    });
    await new Promise((resolve, reject) => {
        socket.on("open", resolve);
        socket.on("error", reject);
    });
    client.ask = (method, params = {}) => new Promise((resolve) => {
        waiting.set(++last, resolve);
        socket.send(JSON.stringify({ jsonrpc: "2.0", id: last, method, params }));
    });
    client.call = async (method, params) => {
        const answer = await client.ask(method, params);
        assert.equal(answer.error, undefined, JSON.stringify(answer.error));
        return answer.result;
    };
    client.of = (type) => client.told.filter((one) => one.method === "crafting.changed" && one.params.type === type).map((one) => one.params);
    return client;
}

test("JSON-RPC follows sessions, over a loss too; events come on the player's topic", async () => {
    await begin({ player_id: "rita", session_id: "r1", materials: { iron: 1 } });
    const rita = await rpc("rita");
    const eve = await rpc("eve");
    for (const [method, params] of [["crafting.get", { session: "r1" }], ["crafting.follow", { session: "r1" }], ["crafting.list", { player: "rita" }], ["crafting.queue", { player: "rita" }]]) {
        assert.equal((await eve.ask(method, params)).error.code, -32002, method);
    }
    for (const [method, params, code] of [["crafting.get", { session: "none" }, -32003], ["crafting.follow", { session: "r1", hz: 61 }, -32602], ["crafting.follow", { session: "r1", hz: "9" }, -32602],
                                          ["crafting.follow", {}, -32602], ["crafting.unfollow", { session: "r1" }, -32003], ["crafting.get", { session: "x".repeat(65) }, -32602]]) {
        assert.equal((await rita.ask(method, params)).error.code, code, `${method} ${JSON.stringify(params)}`);
    }
    validate(schemas.CraftingSession, await rita.call("crafting.get", { session: "r1" }), "crafting.get");
    assert.deepEqual((await rita.call("crafting.list")).sessions.map((one) => one.session_id), ["r1"]);
    validate(schemas.QueueStatusData, await rita.call("crafting.queue"), "crafting.queue");
    await rita.call("topic.subscribe", { topic: "player.rita" });
    const followed = await rita.call("crafting.follow", { session: "r1", hz: 20 });
    assert.deepEqual([followed.follow, followed.packets], [0, false]);
    await until("progress", () => rita.of("progress").length > 5);
    for (const message of rita.of("progress")) validate(schemas.WebSocketCraftingMessage, message, "crafting.changed");
    rita.socket.terminate();
    const back = await rpc("rita", "player", { session: rita.hello.session, ticket: rita.hello.ticket });
    assert.equal(back.hello.resumed, true);
    await until("it goes on by itself", () => back.of("progress").some((one) => one.full) && back.of("progress").length > 3);
    await begin({ player_id: "rita", session_id: "r2", duration_ms: 100 });
    await supply("r1", { iron: 3 });
    await progress("r1", { status: "completed" });
    const events = () => back.told.filter((one) => one.method === "topic.message").map((one) => one.params.event);
    await until("the events", () => events().some((one) => one.type === "game.crafting_changed" && one.data.session === "r2" && one.data.status === "completed"));
    assert.ok(events().some((one) => one.type === "game.crafting_changed" && one.data.session === "r1" && one.data.status === "completed"));
    assert.deepEqual(events().find((one) => one.type === "game.crafting_material").data, { session: "r1", material: "iron", required: 1, available: 3, enough: true });
    assert.ok(events().some((one) => one.type === "game.crafting_queue" && one.data.waiting.some((each) => each.session === "r2" && each.position === 1)));
    await until("the end", () => back.of("progress").some((one) => one.full && one.progress.status === "completed"));
    await back.call("crafting.unfollow", { session: "r1" });
    for (const one of [eve, back]) one.socket.close();
});

// The packets of a native client, read as docs/crafting.md says.
function readPacket(hex) {
    const bytes = Buffer.from(hex, "hex");
    let at = 0;
    const bits = (count) => {
        let value = 0;
        for (let i = 0; i < count; i++, at++) if (bytes[at >> 3] >> (at & 7) & 1) value += 2 ** i;
        return value;
    };
    const packet = { kind: ["whole", "delta", "materials", "changed"][bits(2)], follow: bits(6), sequence: bits(16) };
    if (packet.kind === "whole") {
        Object.assign(packet, { status: bits(3), quantity: bits(7), speed: bits(14), time_us: bits(32) });
        const width = bits(6) + 1;
        Object.assign(packet, { duration_ms: bits(width), work_ms: bits(width) });
    } else if (packet.kind === "delta") {
        Object.assign(packet, { base: bits(8), passed_us: bits(23), width: bits(5) });
    } else {
        const count = bits(6);
        const width = bits(5);
        const changed = packet.kind === "changed" ? Array.from({ length: count }, () => bits(1)) : Array(count).fill(1);
        packet.amounts = changed.map((one) => (one ? { ...(packet.kind === "materials" ? { required: bits(width) } : {}), available: bits(width) } : null));
    }
    assert.equal(Math.ceil(at / 8), packet.kind === "delta" && packet.width ? Math.ceil((at + 1 + packet.width) / 8) : bytes.length);
    return packet;
}

test("a native client gets packets over UDP and over WebSocket: the whole, then eight bytes a time", async () => {
    await begin({ player_id: "nat", session_id: "n1", quantity: 3, materials: { iron: 5, wood: 9 } });
    for (const transport of ["udp", "websocket"]) {
        const grant = transport === "udp" ? await checked(server.base, "POST", "/udp/sessions/n1/connect", as("nat"))
                                          : await checked(server.base, "POST", "/api/v1/connect-tokens?transport=websocket", as("nat"));
        const child = spawn(path.resolve(BUILD, "bin/necpnet"), ["rpc", "--token", grant.json.token], { stdio: ["pipe", "pipe", "pipe"] });
        let said = "";
        child.stdout.on("data", (data) => (said += data));
        try {
            child.stdin.write('{"jsonrpc":"2.0","id":1,"method":"crafting.follow","params":{"session":"n1","hz":60}}\n');
            const packets = () => said.split("\n").slice(0, -1).filter((line) => line.startsWith("@necpnet.craft ")).map((line) => readPacket(line.split(" ")[1]));
            await until(`deltas over ${transport}`, () => packets().filter((one) => one.kind === "delta").length > 20);
            const answer = JSON.parse(said.split("\n").find((line) => line.startsWith('{"jsonrpc":"2.0","result"')));
            assert.deepEqual([answer.result.follow, answer.result.packets], [0, true]);
            const whole = packets().find((one) => one.kind === "whole");
            assert.deepEqual([whole.follow, whole.status, whole.quantity, whole.speed, whole.duration_ms], [0, 1, 3, 1000, 3 * HOUR]);
            for (const delta of packets().filter((one) => one.kind === "delta")) assert.deepEqual([delta.width, delta.base], [0, whole.sequence & 255], "as it was foretold");
            assert.deepEqual(packets().find((one) => one.kind === "materials").amounts, [{ required: 5, available: transport === "udp" ? 0 : 1 }, { required: 9, available: 0 }]);
            await supply("n1", { iron: transport === "udp" ? 1 : 2 });
            await until("the iron", () => packets().some((one) => one.kind === "changed"));
            assert.deepEqual(packets().find((one) => one.kind === "changed").amounts, [{ available: transport === "udp" ? 1 : 2 }, null]);
            child.stdin.write('{"jsonrpc":"2.0","id":2,"method":"crafting.follow","params":{"session":"mine"}}\n');
            await until("the refusal", () => said.includes('"code":-32002'));
        } finally {
            child.kill("SIGKILL");
        }
    }
});

// ---- what stays ----

test("kill -9 under load loses no acknowledged write; clients resume by themselves", async () => {
    const database = path.join(folder, "crafting.db");
    const stored = [...options, "--store", `sqlite:${database}`];
    const acknowledged = new Map(); // session -> the amount that was acknowledged last
    let port = 0;
    let at;
    const launch = async () => {
        at = await start(port ? [...stored, "--port", String(port)] : stored, { JWT_SECRET: SECRET });
        port = at.port;
    };
    await launch();
    await begin({ player_id: "keeper", session_id: "kept", materials: { iron: 60000 } }, at);
    // a client that comes back by itself, later and later
    const watcher = { wholes: [], opened: 0, over: false };
    const connect = (delay) => {
        if (watcher.over) return;
        const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/crafting/kept?access_token=${token("keeper")}`);
        watcher.socket = socket;
        socket.on("open", () => { watcher.opened++; delay = 20; });
        socket.on("message", (data) => { const message = JSON.parse(data); if (message.full && message.type === "progress") watcher.wholes.push(message); });
        socket.on("error", () => {});
        socket.on("close", () => setTimeout(() => connect(Math.min(delay * 2, 500)), delay * (0.5 + Math.random() / 2)));
    };
    connect(20);
    try {
        for (let round = 0; round < 3; round++) {
            await until("the watcher", () => watcher.opened === round + 1 && watcher.wholes.length > round);
            let stop = false;
            const writers = Array.from({ length: 6 }, async (_, writer) => {
                for (let i = 0; !stop; i++) {
                    const id = `k${round}-${writer}-${i}`;
                    const body = { player_id: `w${round}-${writer}-${i % 40}`, session_id: id, recipe: "nail", duration_ms: HOUR, materials: { iron: 100 } };
                    const begun = await checked(at.base, "POST", "/api/v1/crafting/sessions", service(body)).catch(() => null);
                    if (begun?.status !== 201) continue;
                    acknowledged.set(id, 0);
                    for (let amount = 1; amount < 4 && !stop; amount++) {
                        const reply = await supply(id, { iron: amount }, at).catch(() => null);
                        if (reply?.status === 200) acknowledged.set(id, amount);
                    }
                }
            });
            const goal = acknowledged.size + 40;
            await until("writes", () => acknowledged.size >= goal, 20000);
            at.kill("SIGKILL");
            stop = true;
            await at.waitEnd();
            await Promise.all(writers);
            await launch();
        }
        await until("the watcher is back", () => watcher.opened === 4);
        const { base } = at;
        for (const [id, amount] of acknowledged) {
            const reply = await checked(base, "GET", `/api/v1/crafting/sessions/${id}`, service());
            assert.equal(reply.status, 200, `${id} is gone`);
            assert.ok(reply.json.materials[0].available >= amount, `${id}: ${reply.json.materials[0].available} of ${amount}`);
        }
        const kept = (await checked(base, "GET", "/api/v1/crafting/sessions/kept", as("keeper"))).json;
        assert.equal(kept.progress.status, "active");
        const first = watcher.wholes[0];
        const foretold = first.progress.work_ms + (kept.timestamp_us - first.timestamp_us) / 1000;
        assert.ok(Math.abs(kept.progress.work_ms - foretold) < 500, "it went on while the server was away");
    } finally {
        watcher.over = true;
        watcher.socket?.terminate();
        await at.stop();
    }
});

test("an erased player's sessions are gone from memory, database and export", async () => {
    const database = path.join(folder, "erased.db");
    const at = await start([...options, "--store", `sqlite:${database}`], { JWT_SECRET: SECRET });
    const player = "crafter-to-be-erased-0815";
    try {
        await begin({ player_id: player, session_id: "e1", materials: { iron: 2 } }, at);
        await begin({ player_id: player, session_id: "e2", duration_ms: 100 }, at);
        await begin({ player_id: "other", session_id: "o1" }, at);
        const exported = (await checked(at.base, "GET", `/api/v1/players/${player}/data`, as(player))).json;
        assert.deepEqual(exported.records.filter((one) => one.collection === "crafting").map((one) => [one.id, one.body.recipe]), [["e1", "sword"], ["e2", "sword"]]);
        const follower = await open("/ws/crafting/e1", player, { port: at.port });
        await progress("e1", { status: "completed" }, at); // e2 is to be written soon
        assert.equal((await checked(at.base, "DELETE", `/api/v1/players/${player}/data`, as("boss", "admin"))).status, 200);
        assert.equal(await follower.closed, 1000);
        assert.ok(follower.of("gone").length === 1);
        assert.equal((await checked(at.base, "GET", "/api/v1/crafting/sessions/e1", service())).status, 404);
        await sleep(300); // e2 would have been complete
        const bytes = [database, database + "-wal"].filter(existsSync).map((file) => readFileSync(file).toString("latin1")).join("") + at.stderr() + at.stdout();
        assert.equal(bytes.split(player).length - 1, 0, "the id occurs 0 times");
        assert.equal((await checked(at.base, "GET", "/api/v1/crafting/sessions/o1", service())).status, 200);
    } finally {
        await at.stop();
    }
});

test("metrics tell crafting; a full store of sessions refuses", async () => {
    const small = await start([...options, "--crafting-sessions-max", "3", "--crafting-slots", "2", "--game", "none"], { JWT_SECRET: SECRET });
    try {
        for (let i = 0; i < 3; i++) await begin({ player_id: "pat" }, small);
        assert.equal((await checked(small.base, "POST", "/api/v1/crafting/sessions", service({ player_id: "sam", recipe: "x", duration_ms: 100 }))).status, 409);
        const follower = await open(`/ws/queue/pat`, "pat", { port: small.port });
        await until("figures", async () => /^necpnet_crafting_followers 1$/m.test(await (await fetch(small.base + "/metrics")).text()));
        const text = await (await fetch(small.base + "/metrics")).text();
        assert.match(text, /^necpnet_crafting_sessions\{status="active"\} 2$/m);
        assert.match(text, /^necpnet_crafting_sessions\{status="queued"\} 1$/m);
        assert.match(text, /^necpnet_crafting_refused_total 1$/m);
        follower.socket.close();
        const audit = await checked(small.base, "DELETE", `/api/v1/crafting/sessions/${(await checked(small.base, "GET", "/api/v1/crafting/sessions", service())).json.sessions[0].session_id}`, service());
        assert.equal(audit.status, 200);
        assert.ok((await checked(small.base, "GET", "/api/v1/admin/audit", as("boss", "admin"))).json.events.some((one) => one.event === "crafting_cancelled"));
    } finally {
        await small.stop();
    }
});
