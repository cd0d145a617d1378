// server_play - players in a running server, by the command line tool: both transports, connect tokens of every kind, drain and
// restart while somebody plays.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { BUILD, count, sleep, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const TOOL = path.resolve(BUILD, "bin/necpnet");
const KEY = "5f".repeat(32);
let server;

before(async () => {
    assert.ok(existsSync(TOOL), `${TOOL} is not built`);
    server = await start();
});
after(() => server?.stop());

// tool - the command line tool: { child, out(), done }.
const tool = (args) => {
    const child = spawn(TOOL, args, { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (out += data));
    const guard = setTimeout(() => child.kill("SIGKILL"), 50000);
    const done = new Promise((resolve) => child.on("exit", (code) => { clearTimeout(guard); resolve(code); }));
    return { child, out: () => out, done };
};
const tokens = (at) => ["--token-url", `${at.base}/api/v1/connect-tokens`];
const health = async (at) => (await fetch(at.base + "/health")).json();
const metric = async (at, line) => {
    const text = await (await fetch(at.base + "/metrics")).text();
    return Number(new RegExp(`^necpnet_${line.replace(/[{}]/g, "\\$&")} (\\d+)$`, "m").exec(text)?.[1]);
};

for (const transport of ["udp", "ws"]) {
    test(`a player joins over ${transport} with a connect token`, async () => {
        const ping = tool(["ping", ...tokens(server), "--count", "2", "--transport", transport]);
        assert.equal(await ping.done, 0, ping.out());
        assert.match(ping.out(), transport === "udp" ? /over udp, encrypted/ : /over websocket/);
    });

    test(`a hundred clients over ${transport} lose nothing`, async () => {
        const load = tool(["load", ...tokens(server), "--clients", "100", "--rate", "10", "--seconds", "3", "--transport", transport]);
        assert.equal(await load.done, 0, load.out());
        assert.match(load.out(), /100 connected, 0 failed, 0 disconnected/);
        assert.match(load.out(), / 0 lost, 0 out of order/);
    });
}

test("everybody has left when the tools have ended", async () => {
    await until("an empty server", async () => (await health(server)).peers.connected === 0, 15000);
    const game = await (await fetch(server.base + "/api/v1/game")).json();
    assert.equal(game.players, 0);
    assert.ok(game.joined >= 202);
});

test("players on both transports are in one world", async () => {
    const native = tool(["connect", ...tokens(server), "--name", "Nora", "--transport", "udp", "--seconds", "8"]);
    const browser = tool(["connect", ...tokens(server), "--name", "Bruno", "--transport", "ws", "--seconds", "8"]);
    await until("both", async () => (await health(server)).peers.connected === 2);
    const peers = (await health(server)).peers;
    assert.deepEqual([peers.udp, peers.websocket], [1, 1]);
    const watch = tool(["watch", ...tokens(server), "--json", "--seconds", "2"]);
    assert.equal(await watch.done, 0, watch.out());
    const entered = watch.out().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)).filter((one) => one.event === "enter");
    for (const name of ["Nora", "Bruno"]) assert.ok(entered.some((one) => one.type === "player" && one.name === name), watch.out());
    assert.equal(entered.filter((one) => one.type === "wanderer").length, 200, watch.out());
    assert.equal(entered.filter((one) => one.type === "vehicle").length, 1, watch.out());
    native.child.kill();
    browser.child.kill();
    await Promise.all([native.done, browser.done]);
});

test("tokens of another server, spent ones and garbage let nobody in", async () => {
    const other = await start();
    const grant = async (at) => (await (await fetch(`${at.base}/api/v1/connect-tokens?transport=udp`, { method: "POST" })).json()).token;
    const foreign = await grant(other);
    await other.stop();
    const before = await metric(server, 'dropped_total{reason="TOKEN_KEY"}');
    const join = (token) => tool(["connect", `udp://127.0.0.1:${server.udpPort}`, "--token", token, "--seconds", "12"]);
    const stranger = join(foreign);
    await until("the drop", async () => (await metric(server, 'dropped_total{reason="TOKEN_KEY"}')) > before, 12000);
    stranger.child.kill();
    const once = await grant(server);
    const first = join(once);
    await until("the first", async () => (await health(server)).peers.connected === 1);
    const second = join(once);
    await until("the second's drop", async () => (await metric(server, 'dropped_total{reason="TOKEN_SPENT"}')) > 0, 12000);
    assert.equal((await health(server)).peers.connected, 1);
    first.child.kill();
    second.child.kill();
    await Promise.all([stranger.done, first.done, second.done]);
});

test("a token made offline with the shared key lets in", async () => {
    const production = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--token-keys", `7:${KEY}`]);
    try {
        for (const url of [`udp://127.0.0.1:${production.udpPort}`, `ws://127.0.0.1:${production.port}/ws`]) {
            const right = tool(["ping", url, "--key", `7:${KEY}`, "--count", "1"]);
            assert.equal(await right.done, 0, right.out());
        }
        const anonymous = await fetch(production.base + "/api/v1/connect-tokens", { method: "POST" });
        assert.equal(anonymous.status, 501, "without jwt_secret nobody gets tokens here");
    } finally {
        await production.stop();
    }
});

const freePort = () => new Promise((resolve) => {
    const probe = net.createServer();
    probe.listen(0, "127.0.0.1", () => {
        const { port } = probe.address();
        probe.close(() => resolve(port));
    });
});

test("players are told of a shutdown, and come back to the next server by themselves", async () => {
    const ports = ["--port", String(await freePort()), "--udp-port", String(await freePort())];
    const first = await start(ports);
    const players = ["udp", "ws"].map((transport) => tool(["connect", ...tokens(first), "--transport", transport, "--seconds", "40"]));
    await until("both", async () => (await health(first)).peers.connected === 2);
    const began = Date.now();
    assert.deepEqual(await first.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - began < 9000, "they left before the deadline of 10 s");
    assert.match(first.stderr(), /everybody has left/);
    const second = await start(ports);
    try {
        await until("both again", async () => (await health(second)).peers.connected === 2, 20000).catch((error) => { throw new Error(error.message + players.map((player) => "\n" + player.out()).join("\n--")); });
        for (const player of players) assert.match(player.out(), /ERR_DRAINING/);
    } finally {
        for (const player of players) player.child.kill();
        await Promise.all(players.map((player) => player.done));
        await second.stop();
    }
});

test("a server that is killed is noticed, and the next one found", async () => {
    const ports = ["--port", String(await freePort()), "--udp-port", String(await freePort())];
    const first = await start(ports);
    const players = ["udp", "ws"].map((transport) => tool(["connect", ...tokens(first), "--transport", transport, "--seconds", "40"]));
    await until("both", async () => (await health(first)).peers.connected === 2);
    first.kill("SIGKILL");
    await first.waitEnd();
    await sleep(100);
    const second = await start(ports);
    try {
        await until("both again", async () => (await health(second)).peers.connected === 2, 25000);
    } finally {
        for (const player of players) player.child.kill();
        await Promise.all(players.map((player) => player.done));
        await second.stop();
    }
});

test("three workers share the ports, the players and the tokens, and drain together", async () => {
    const several = await start(["--workers", "3"]);
    try {
        const loads = ["udp", "ws"].map((transport) => tool(["load", ...tokens(several), "--clients", "60", "--rate", "10",
                                                             "--seconds", "3", "--transport", transport]));
        for (const load of loads) {
            assert.equal(await load.done, 0, load.out());
            assert.match(load.out(), /60 connected, 0 failed, 0 disconnected/);
            assert.match(load.out(), / 0 lost, 0 out of order/);
        }
        const { workers } = await (await fetch(several.base + "/api/v1/game")).json();
        assert.equal(workers.length, 3);
        assert.ok(workers.every((world) => world.joined > 0), JSON.stringify(workers));
        assert.ok(workers.reduce((sum, world) => sum + world.joined, 0) >= 120);
        assert.equal((await health(several)).status, "ok");
    } finally {
        assert.equal((await several.stop()).code, 0, several.stderr());
    }
});
