// server_store - what the store has outlives the process: kill -9 while records are written, restart; migrations by the command
// line; a player erased is gone from database, write-ahead log and server log.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import nodeTest, { after } from "node:test";
import WebSocket from "ws";
import { checked } from "./api_description.mjs";
import { hs256, make, now } from "./jwt.mjs";
import { count, run, scratch, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const folder = scratch();
const database = path.join(folder, "necpnet.db");
const options = (more = []) => ["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--rate-token", "0", "--rate-admin", "0",
                                "--rate-read", "0", "--store", `sqlite:${database}`, ...more];
const token = (sub, role = "player", more = {}) => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600, iat: now() - 5, ...more }, hs256(SECRET));
const as = (jwt, body) => ({ headers: { Authorization: `Bearer ${jwt}`, ...(body ? { "Content-Type": "application/json" } : {}) }, body: body && JSON.stringify(body) });
after(() => rmSync(folder, { recursive: true, force: true }));

test("kill -9 loses nothing that was acknowledged", async () => {
    const acknowledged = [];
    for (let round = 0; round < 4; round++) {
        const server = await start(options(), { JWT_SECRET: SECRET });
        let stop = false;
        // revocations are written before they are answered
        const writers = Array.from({ length: 8 }, async (_, writer) => {
            for (let i = 0; !stop; i++) {
                const jwt = token(`player-${round}-${writer}-${i}`, "player", { jti: `${round}-${writer}-${i}` });
                const reply = await checked(server.base, "POST", "/api/v1/tokens/revoke", as(jwt, { token: jwt })).catch(() => null);
                if (reply?.status === 204) acknowledged.push(jwt);
                else if (reply) assert.equal(reply.status, 503);
            }
        });
        const goal = acknowledged.length + 100;
        while (acknowledged.length < goal) await new Promise((resolve) => setTimeout(resolve, 5));
        server.kill("SIGKILL");
        stop = true;
        await server.waitEnd();
        await Promise.all(writers);
    }
    const server = await start(options(), { JWT_SECRET: SECRET });
    try {
        assert.ok(acknowledged.length >= 400);
        const answers = [];
        for (let i = 0; i < acknowledged.length; i += 20) {
            answers.push(...await Promise.all(acknowledged.slice(i, i + 20).map((jwt) => checked(server.base, "GET", "/ws/connections", as(jwt)))));
        }
        assert.equal(answers.filter((one) => one.status !== 401).length, 0, "every revocation is still there");
        assert.equal((await checked(server.base, "GET", "/ws/connections", as(token("somebody else")))).status, 200);
    } finally {
        await server.stop();
    }
});

test("migrations are applied and told by the command line", () => {
    const store = ["--store", `sqlite:${path.join(folder, "fresh.db")}`];
    assert.match(run(["migrate", "status", ...store]).stdout, /1 records +pending/);
    const up = run(["migrate", "up", ...store]);
    assert.equal(up.code, 0, up.stderr);
    assert.match(up.stdout, /1 records +applied/);
    assert.equal(run(["migrate", "up", ...store]).code, 0, "again changes nothing");
    assert.match(run(["migrate", "status", ...store]).stdout, /1 records +applied/);
    const nowhere = run(["migrate", "up", "--store", "sqlite:/nowhere/x.db"]);
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /could not be opened/);
    assert.match(run(["--mode", "production", "--store", "sqlite:/nowhere/x.db", "--port", "0", "--udp-port", "0"], { JWT_SECRET: SECRET }).stderr, /store/);
});

test("a store that does not answer is told, holds up nobody, and is used again when it answers", async () => {
    const server = await start(options(), { JWT_SECRET: SECRET });
    const admin = token("boss", "admin");
    const messages = [];
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/health/ws`);
    socket.on("message", (data) => messages.push(JSON.parse(data)));
    const health = async () => (await checked(server.base, "GET", "/health")).json;
    // another process keeps the file to itself
    const holder = spawn("python3", ["-c", "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],isolation_level=None)\nc.execute('BEGIN EXCLUSIVE')\nprint('held',flush=True)\ninput()\nc.execute('COMMIT')", database]);
    try {
        await new Promise((resolve) => holder.stdout.on("data", resolve));
        await until("the store is down", async () => (await health()).components.store.status === "down");
        const now = await health();
        assert.deepEqual([now.status, now.components.cache.status, now.components.websocket.status], ["degraded", "ok", "ok"]);
        const refused = await checked(server.base, "GET", "/api/v1/admin/audit", as(admin));
        assert.equal(refused.status, 503);
        assert.equal((await checked(server.base, "GET", "/ws/connections", as(admin))).status, 200, "what needs no store goes on");
        await until("the change is told", () => messages.some((one) => one.reason === "change" && one.components.store.status === "down"));
        assert.match((await (await fetch(server.base + "/metrics")).text()), /^necpnet_component_up\{component="store"\} 0$/m);
        holder.stdin.end("\n");
        await until("the store is back", async () => (await health()).status === "ok");
        assert.equal((await checked(server.base, "GET", "/api/v1/admin/audit", as(admin))).status, 200);
    } finally {
        holder.kill("SIGKILL");
        socket.terminate();
        await server.stop();
    }
});

test("an erased player is gone from database, log and write-ahead log", async () => {
    const player = "player-to-be-erased-4711";
    const server = await start(options(), { JWT_SECRET: SECRET });
    const admin = token("boss", "admin");
    const mine = token(player, "player", { name: "Erasmus" });
    const at = `/api/v1/players/${player}/data`;
    const bytes = () => [database, database + "-wal", database + "-shm"].filter(existsSync).map((file) => readFileSync(file).toString("latin1")).join("") + server.stderr() + server.stdout();
    try {
        for (let i = 0; i < 40; i++) { // events that name the player, as actor and as object
            await checked(server.base, "GET", "/api/v1/admin/audit", as(mine));
            await checked(server.base, "GET", at, as(i % 2 ? mine : admin));
        }
        await checked(server.base, "POST", "/api/v1/connect-tokens", as(mine));
        const exported = (await checked(server.base, "GET", at, as(mine))).json;
        assert.ok(exported.count >= 15 && exported.complete && exported.records.every((one) => JSON.stringify(one.body).includes(player)));
        assert.equal((await checked(server.base, "GET", `/api/v1/players/somebody-else/data`, as(mine))).status, 403);
        assert.ok(readFileSync(database).toString("latin1").includes(player) || readFileSync(database + "-wal").toString("latin1").includes(player));
        const erased = await checked(server.base, "DELETE", at, as(mine));
        assert.equal(erased.status, 200);
        assert.ok(erased.json.records_erased >= exported.count);
        assert.equal(bytes().split(player).length - 1, 0, "the id occurs 0 times");
        assert.equal((await checked(server.base, "GET", at, as(mine))).status, 401, "and the credentials have ended");
        const audit = await checked(server.base, "GET", "/api/v1/admin/audit?limit=1000", as(admin));
        assert.ok(!audit.text.includes(player) && audit.text.includes("player_erased"));
    } finally {
        await server.stop();
    }
    assert.equal(bytes().split(player).length - 1, 0, "nor after the end");
});
