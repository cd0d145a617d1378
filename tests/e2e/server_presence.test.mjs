// server_presence - presence over REST, beside the JSON-RPC that it shares a machine with: seen through the caller's eyes, changed by its
// owner alone, friends; when somebody was last seen outlives a kill -9, and an erased player is remembered by nobody; whose clients come back after a
// kill -9 are there again for everybody within a second.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import nodeTest, { after } from "node:test";
import WebSocket from "ws";
import { checked } from "./api_description.mjs";
import { hs256, make, now } from "./jwt.mjs";
import { count, scratch, sleep, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const folder = scratch();
const database = path.join(folder, "presence.db");
const options = ["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--rate-read", "0", "--rate-write", "0", "--rate-admin", "0",
                 "--resume-window-ms", "0", "--bots", "0", "--store", `sqlite:${database}`];
const token = (sub, role = "player") => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600, iat: now() - 5, jti: randomUUID() }, hs256(SECRET));
const as = (sub, role, body) => ({ headers: { Authorization: `Bearer ${token(sub, role)}`, ...(body ? { "Content-Type": "application/json" } : {}) }, body: body && JSON.stringify(body) });
const look = async (at, player, viewer = "eve") => (await checked(at.base, "GET", `/api/v1/presence/${encodeURIComponent(player)}`, as(viewer))).json;
after(() => rmSync(folder, { recursive: true, force: true }));

async function join(at, sub, role = "player") {
    const socket = new WebSocket(`ws://127.0.0.1:${at.port}/ws?access_token=${token(sub, role)}`, ["jsonrpc2.necpnet"]);
    const waiting = new Map();
    let last = 0;
    socket.on("message", (data) => { const message = JSON.parse(data); waiting.get(message.id)?.(message); });
    await new Promise((resolve, reject) => { socket.on("open", resolve); socket.on("error", reject); });
    const call = (method, params = {}) => new Promise((resolve) => { waiting.set(++last, resolve); socket.send(JSON.stringify({ jsonrpc: "2.0", id: last, method, params })); });
    await call("session.hello");
    await call("presence.set", {});
    return { socket, call, closed: new Promise((resolve) => socket.on("close", resolve)) };
}

test("presence is seen through the caller's eyes, and changed by its owner alone", async () => {
    const at = await start(options, { JWT_SECRET: SECRET });
    try {
        assert.deepEqual(await look(at, "nobody"), { player_id: "nobody", status: "offline", zone: 0, location: "", last_seen: null });
        assert.equal((await checked(at.base, "PUT", "/api/v1/presence/ann", as("ann", "player", { status: "busy" }))).status, 409, "not here");
        const ann = await join(at, "ann");
        const bob = await join(at, "b\u00f6b");
        const set = await checked(at.base, "PUT", "/api/v1/presence/ann", as("ann", "player", { status: "in-game", zone: 7, location: "the \"forge\"" }));
        assert.deepEqual([set.status, set.json.status, set.json.zone, set.json.location], [200, "in-game", 7, 'the "forge"']);
        assert.equal((await look(at, "ann")).status, "in-game");
        assert.equal((await ann.call("presence.get", { players: ["ann"] })).result.players[0].zone, 7, "one machine");
        const kept = await checked(at.base, "PUT", "/api/v1/presence/ann", as("ann", "player", { status: "away" }));
        assert.deepEqual([kept.json.zone, kept.json.location], [7, 'the "forge"']);
        assert.equal((await checked(at.base, "PUT", "/api/v1/presence/ann", as("eve", "player", { status: "away" }))).status, 403);
        await checked(at.base, "PUT", "/api/v1/presence/ann", as("boss", "admin", { status: "invisible" }));
        assert.equal((await look(at, "ann")).status, "offline");
        assert.equal((await look(at, "ann", "ann")).status, "invisible");
        const service = await join(at, "friends", "service");
        await service.call("presence.friends", { player: "ann", players: ["b\u00f6b"] });
        const friends = await checked(at.base, "GET", "/api/v1/presence/ann/friends", as("ann"));
        assert.deepEqual(friends.json.players.map((one) => [one.player_id, one.status]), [["b\u00f6b", "online"]]);
        assert.equal((await checked(at.base, "GET", "/api/v1/presence/ann/friends", as("eve"))).status, 403);
        for (const one of [ann, bob, service]) one.socket.terminate();
        await until("both are gone", async () => (await look(at, "b\u00f6b")).status === "offline");
    } finally {
        await at.stop();
    }
});

test("when somebody was last seen outlives a kill -9; an erased player is remembered by nobody", async () => {
    const player = "presence-to-be-erased-1234";
    let at = await start(options, { JWT_SECRET: SECRET });
    const one = await join(at, player);
    const other = await join(at, "keeper");
    const from = Date.now();
    other.socket.terminate();
    await until("the keeper is gone", async () => (await look(at, "keeper")).status === "offline");
    await until("it is written", async () => (await checked(at.base, "GET", "/api/v1/players/keeper/data", as("boss", "admin"))).json.records.some((each) => each.collection === "presence"));
    at.kill("SIGKILL");
    await at.waitEnd();
    one.socket.terminate();
    at = await start(options, { JWT_SECRET: SECRET });
    try {
        for (const name of [player, "keeper"]) {
            const seen = await look(at, name);
            assert.equal(seen.status, "offline");
            assert.ok(Math.abs(new Date(seen.last_seen).getTime() - from) < 20000, `${name}: ${seen.last_seen}`);
        }
        const again = await join(at, player);
        await until("online again", async () => (await look(at, player)).status === "online");
        assert.equal((await checked(at.base, "DELETE", `/api/v1/players/${player}/data`, as("boss", "admin"))).status, 200);
        await again.closed;
        await until("gone", async () => (await look(at, player)).status === "offline");
        assert.equal((await look(at, player)).last_seen, null);
        const bytes = [database, database + "-wal"].filter(existsSync).map((file) => readFileSync(file).toString("latin1")).join("") + at.stderr() + at.stdout();
        assert.equal(bytes.split(player).length - 1, 0, "the id occurs 0 times");
    } finally {
        await at.stop();
    }
});

const freePort = () => new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address();
        probe.close(() => resolve(port));
    });
});

test("after a kill -9 presence is right again within a second of the clients' return", async () => {
    const ports = ["--port", String(await freePort())];
    const names = Array.from({ length: 40 }, (_, i) => `back-${i}`);
    let at = await start([...options, ...ports], { JWT_SECRET: SECRET });
    const clients = new Map();
    let ends = false;
    // A client that comes back by itself and says where its player is.
    const live = async (name, zone) => {
        while (!ends) {
            const one = await join(at, name).catch(() => null);
            if (!one) { await sleep(20); continue; }
            one.socket.on("error", () => {});
            await Promise.race([one.call("presence.set", { status: "busy", zone }), one.closed]);
            if (one.socket.readyState === WebSocket.OPEN) clients.set(name, one);
            await one.closed;
            clients.delete(name);
        }
    };
    const lives = names.map((name, i) => live(name, i + 1));
    const rounds = [];
    try {
        await until("all are here", () => clients.size === names.length, 20000);
        const stays = await join(at, "stays-away");
        stays.socket.on("error", () => {});
        for (let round = 0; round < 3 && !rounds.some((ms) => ms <= 1000); round++) {
            at.kill("SIGKILL");
            await at.waitEnd();
            await until("all noticed", () => clients.size === 0);
            at = await start([...options, ...ports], { JWT_SECRET: SECRET });
            await until("all are back", () => clients.size === names.length, 20000);
            const from = Date.now();
            const watcher = await join(at, "watcher", "service");
            await until("presence is right", async () => {
                const { players } = (await watcher.call("presence.get", { players: [...names, "stays-away"] })).result;
                return names.every((_, i) => players[i].status === "busy" && players[i].zone === i + 1) && players[names.length].status === "offline";
            });
            rounds.push(Date.now() - from);
            watcher.socket.terminate();
        }
        assert.ok(rounds.some((ms) => ms <= 1000), `milliseconds until presence was right: ${rounds}`);
    } finally {
        ends = true;
        for (const one of clients.values()) one.socket.terminate();
        await at.stop();
        await Promise.all(lives);
    }
});
