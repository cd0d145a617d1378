// bench - the programs that measure the server under load, for a second each: they end, their JSON lines can be read, and every figure that
// has a goal stands in the table with it. What the figures are is no test: machines differ.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import nodeTest from "node:test";
import { BUILD, count } from "./server_process.mjs";

const test = count(nodeTest);

async function bench(name, args) {
    const child = spawn(path.resolve(BUILD, "bench", name), args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    let problems = "";
    child.stdout.on("data", (data) => (said += data));
    child.stderr.on("data", (data) => (problems += data));
    const code = await new Promise((resolve) => { child.on("close", resolve); child.on("error", resolve); });
    assert.equal(code, 0, said + problems);
    const lines = said.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    for (const line of lines) {
        assert.equal(line.bench, name);
        assert.ok(line.case && line.metric && line.unit && Number.isFinite(line.ours), JSON.stringify(line));
        assert.equal("peer" in line, "ratio" in line, JSON.stringify(line));
    }
    return { said, lines, goals: new Set(lines.filter((line) => line.peer === "goal").map((line) => line.metric)), peers: new Set(lines.map((line) => line.peer)) };
}

test("gateway prints each figure that has a goal, beside libwebsockets and ws", async () => {
    const { said, goals, peers } = await bench("gateway", ["--short", "1"]);
    for (const wanted of ["memory a connection", "handshake mean", "delivery to 1000 p99", "all active: answered", "sustained publishing", "its worst second",
        "arrived at its follower", "connecting meanwhile worst", "publishing, one connection"]) {
        assert.ok(goals.has(wanted), wanted);
        assert.match(said, new RegExp(`^${wanted} .*[<>]= \\d+: (ok|missed)$`, "m"));
    }
    assert.match(said, /^handshakes +1\/s +\d/m);
    for (const peer of ["libwebsockets", "ws"]) assert.ok(peers.has(peer), peer);
    // what arrived does not depend on the machine
    assert.match(said, /^arrived at its follower +share +1\.000/m);
    assert.match(said, /^all active: answered +share +1\.000/m);
});

test("crafting prints memory, delivery and bytes over both transports, with their goals", async () => {
    const { lines, goals } = await bench("crafting", ["--sessions", "50", "--hz", "60", "--seconds", "1", "--rounds", "1"]);
    for (const wanted of ["memory a session", "delivery p99", "bytes a session"]) assert.ok(goals.has(wanted), wanted);
    assert.equal(lines.filter((line) => line.metric === "delivery p99").length, 2);
});
