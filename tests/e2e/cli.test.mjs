// cli - the `necpnet` tool against a real server: every command, over both transports, and its exit codes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { BUILD, count, start } from "./server_process.mjs";

const test = count(nodeTest);
const CLI = path.resolve(BUILD, "bin/necpnet");
const KEY = "3:" + "5a".repeat(32);
let server;

before(async () => {
    server = await start(["--token-keys", KEY]);
});
after(() => server.stop());

// cli - runs the tool to its end: { code, stdout, stderr }. Standard input is empty.
function cli(...args) {
    return new Promise((resolve, reject) => {
        const child = spawn(CLI, args, { stdio: ["ignore", "pipe", "pipe"] });
        let stdout = "", stderr = "";
        const timer = setTimeout(() => child.kill("SIGKILL"), 30000);
        child.stdout.on("data", (data) => (stdout += data));
        child.stderr.on("data", (data) => (stderr += data));
        child.on("error", reject);
        child.on("exit", (code, signal) => {
            clearTimeout(timer);
            if (signal) reject(new Error(`necpnet ${args.join(" ")} ended by ${signal}: ${stdout}${stderr}`));
            else resolve({ code, stdout, stderr });
        });
    });
}

const udp = () => `udp://127.0.0.1:${server.udpPort}`;
const ws = () => `ws://127.0.0.1:${server.port}/ws`;
const mine = () => ["--key", KEY, "--server-id", String(server.facts.server_id ?? 1)];

test("help and version end with 0, a wrong command line with 2 and a reason", async () => {
    assert.equal((await cli("help")).code, 0);
    assert.match((await cli("--version")).stdout, /^necpnet \d+\.\d+\.\d+/);
    for (const [args, reason] of [
        [[], /./],
        [["fly"], /no command 'fly'/],
        [["ping", "--hurry", "1"], /no option '--hurry'/],
        [["ping", "--count", "many"], /--count wants a number/],
        [["load", "--clients", "0"], /--clients wants a number/],
        [["connect", "--transport", "pigeon"], /udp or ws/],
        [["query"], /wants an address/],
        [["token"], /wants --key/],
    ]) {
        const wrong = await cli(...args);
        assert.equal(wrong.code, 2, args.join(" "));
        assert.match(wrong.stderr + wrong.stdout, reason);
    }
});

test("query asks without connecting; nobody there is named", async () => {
    const asked = await cli("query", udp());
    assert.equal(asked.code, 0, asked.stderr);
    assert.match(asked.stdout, /"[^"]+", \d+ of \d+ players, \d+ us/);
    const nobody = await cli("query", "udp://127.0.0.1:1");
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /necpnet: udp:\/\/127\.0\.0\.1:1: ./);
});

test("token make and read", async () => {
    const made = await cli("token", "--key", KEY, udp(), ws());
    assert.equal(made.code, 0, made.stderr);
    const read = await cli("token", "read", made.stdout.trim());
    assert.equal(read.code, 0, read.stderr);
    assert.match(read.stdout, /^server id 1$/m);
    assert.match(read.stdout, /^expires in [34]\d\.\d s$/m);
    assert.ok(read.stdout.includes(udp()) && read.stdout.includes(ws()));
    const cut = await cli("token", "read", made.stdout.trim().slice(0, 40));
    assert.equal(cut.code, 1);
    assert.match(cut.stderr, /not a connect token/);
});

for (const [name, url] of [["udp", udp], ["websocket", ws]]) {
    test(`connect, ping, watch and play over ${name}`, async () => {
        const [connected, pinged, watched, played] = await Promise.all([
            cli("connect", url(), ...mine(), "--seconds", "1"),
            cli("ping", url(), ...mine(), "--count", "1", "--json"),
            cli("watch", url(), ...mine(), "--seconds", "2", "--json"),
            cli("play", url(), ...mine(), "--seconds", "3", "--name", 'q"uo\\te'),
        ]);
        assert.equal(connected.code, 0, connected.stderr);
        assert.match(connected.stdout, new RegExp(`connected to .* over ${name}, ${name === "udp" ? "" : "not "}encrypted`));
        assert.equal(pinged.code, 0, pinged.stderr);
        assert.ok(JSON.parse(pinged.stdout).rtt_us > 0);
        assert.equal(watched.code, 0, watched.stderr);
        const seen = watched.stdout.trim().split("\n").map((line) => JSON.parse(line)); // every line is JSON, whatever the names
        assert.ok(seen.some((line) => line.event === "enter" && line.type === "wanderer"));
        assert.equal(played.code, 0, played.stderr);
        assert.match(played.stdout, /at +player \d+ at /);
    });

    test(`load over ${name}: every message comes back, in order`, async () => {
        const load = await cli("load", url(), ...mine(), "--clients", "5", "--rate", "20", "--seconds", "2", "--json");
        assert.equal(load.code, 0, load.stderr + load.stdout);
        const result = JSON.parse(load.stdout.trim().split("\n").pop());
        assert.ok(result.received > 100, load.stdout);
        assert.equal(result.received, result.sent);
    });
}

test("a foreign key is refused, and the reason told", async () => {
    const foreign = await cli("connect", ws(), "--key", "3:" + "00".repeat(32), "--seconds", "3");
    assert.equal(foreign.code, 1);
    assert.match(foreign.stderr, /ERR_TOKEN_INVALID/);
});

test("record writes what a client sees; replay tells it, finds damage, and serves it again", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "necpnet-record-"));
    const file = path.join(folder, "match.nnrc");
    try {
        const player = cli("play", udp(), ...mine(), "--name", "recorded", "--seconds", "4");
        const recorded = await cli("record", ws(), file, ...mine(), "--seconds", "3", "--json");
        await player;
        assert.equal(recorded.code, 0, recorded.stderr);
        const told = JSON.parse(recorded.stdout);
        assert.ok(told.frames > 20 && told.bytes === statSync(file).size, recorded.stdout);
        const replayed = await cli("replay", file);
        assert.equal(replayed.code, 0, replayed.stderr);
        assert.match(replayed.stdout, new RegExp(`${told.frames} frames .* ${told.bytes} bytes`));
        const lines = (await cli("replay", file, "--json")).stdout.trim().split("\n").map((line) => JSON.parse(line));
        const summary = lines.pop();
        assert.ok(summary.whole && summary.seconds > 1.5 && summary.entities > 100, JSON.stringify(summary));
        const own = lines.filter((line) => line.type === "player" && line.name === "recorded");
        assert.ok(own.length > 10 && own.some((line) => line.position[0] !== own[0].position[0]), "the player walked");

        const port = 20000 + (process.pid % 20000);
        const serving = cli("replay", file, "--serve", String(port), "--seconds", "4");
        const seen = await cli("watch", `udp://127.0.0.1:${port}`, "--open", "--seconds", "2", "--json");
        assert.equal(seen.code, 0, seen.stderr);
        assert.match(seen.stdout, /"name":"recorded"/);
        assert.equal((await serving).code, 0);

        const bytes = readFileSync(file);
        writeFileSync(file, bytes.subarray(0, bytes.length - 7));
        const cut = await cli("replay", file);
        assert.equal(cut.code, 1);
        assert.match(cut.stderr, /record \d+ at byte \d+: .*cut/);
        assert.match(cut.stdout, /not whole/);
        bytes[bytes.length >> 1] ^= 4;
        writeFileSync(file, bytes);
        const damaged = await cli("replay", file);
        assert.equal(damaged.code, 1);
        assert.match(damaged.stderr, /record \d+ at byte \d+: /);
        writeFileSync(file, "not a recording");
        assert.match((await cli("replay", file)).stderr, /no recording of necpnet's/);
        assert.equal((await cli("replay")).code, 2);
        assert.equal((await cli("record", udp())).code, 2);
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
});
