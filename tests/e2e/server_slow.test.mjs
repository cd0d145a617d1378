// server_slow - clients that are slow on purpose, by hundreds: heads, bodies and readers of slowhttptest, and WebSockets that
// stop reading. Aim: the server bears them within its own deadlines and limits, and nobody else loses a message or an answer.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { open } from "./rpc_client.mjs";
import { count, descriptors, scratch, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SLOW = 200;
const folder = scratch();
let server;

before(async () => {
    writeFileSync(path.join(folder, "big.txt"), Buffer.alloc(4000000, "x"));
    server = await start(["--web-directory", folder, "--http-timeout-ms", "3000", "--rpc-rate", "100000"]);
});

after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
});

// slowly - slowhttptest with so many connections for some seconds; what it prints.
function slowly(...options) {
    const child = spawn("slowhttptest", ["-c", String(SLOW), "-r", "200", "-l", "6", "-i", "1", "-p", "5", ...options]);
    let text = "";
    child.stdout.on("data", (data) => (text += data));
    child.stderr.on("data", (data) => (text += data));
    return new Promise((resolve, reject) => {
        child.on("error", () => reject(new Error("slowhttptest is missing; fix: apt-get install slowhttptest, or tools/setup.sh")));
        child.on("exit", () => resolve(text.replace(/\x1b\[[0-9;]*[a-zA-Z]/g, "")));
    });
}

for (const [name, options] of [
    ["heads", ["-H", "-x", "10", "-u", "/health"]],
    ["bodies", ["-B", "-x", "10", "-s", "1000", "-f", "application/json", "-u", "/api/v1/connect-tokens"]],
    ["readers", ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3", "-u", "/big.txt"]],
]) {
    test(`two hundred slow ${name} take nothing from others`, async () => {
        const before = descriptors(server.pid);
        const client = await open("player=steady", { at: server });
        await client.call("session.hello", {});
        const at = options.indexOf("-u") + 1;
        let over = false;
        let most = 0;
        const attack = slowly(...options.map((one, i) => (i === at ? server.base + one : one))).finally(() => (over = true));
        let answers = 0;
        while (!over) {
            const answer = await fetch(server.base + "/health");
            assert.equal(answer.status, 200, await answer.text());
            await client.call("presence.get", { players: ["steady"] });
            most = Math.max(most, descriptors(server.pid) - before);
            answers++;
        }
        assert.match(await attack, /test duration|slow HTTP test status/);
        assert.ok(most >= SLOW / 2, `only ${most} were open at once`);
        assert.ok(answers >= 50, `${answers} answers`);
        client.socket.close();
        await until("the descriptors", () => descriptors(server.pid) <= before + 3);
    });
}

test("two hundred WebSockets that stop reading are told what they missed, and a reader gets every message", async () => {
    const before = descriptors(server.pid);
    const topic = "chat.slow";
    const stalled = await Promise.all(Array.from({ length: SLOW }, (_, i) => open(`player=stalled-${i}`, { at: server })));
    const [reader, writer] = await Promise.all(["reader", "writer"].map((name) => open(`player=${name}`, { at: server })));
    await Promise.all([...stalled, reader, writer].map((one) => one.call("session.hello", {})));
    await Promise.all([...stalled, reader].map((one) => one.call("topic.subscribe", { topic })));
    for (const one of stalled) one.socket.pause();
    const text = "😀".repeat(480);
    const messages = 6000;
    for (let sent = 0; sent < messages; sent += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, i) =>
            writer.call("event.publish", { topic, type: "chat.message", data: { text: `${sent + i} ${text}` } })));
    }
    await until("every message", () => reader.told("topic.message").length >= messages);
    const heard = reader.told("topic.message").map((one) => parseInt(one.event.data.text, 10));
    assert.equal(new Set(heard).size, messages);
    for (const one of stalled) one.socket.resume();
    // all that was sent is either there or told as a gap: nothing is left out silently
    const last = (one) => one.told("topic.message").at(-1)?.offset;
    await until("the slow ones to have caught up", () => stalled.every((one) => last(one) === last(reader)), 30000);
    for (const one of stalled) {
        const lost = one.told("topic.gap").reduce((sum, gap) => sum + gap.to - gap.from + 1, 0);
        assert.equal(one.told("topic.message").length + lost, messages);
        assert.ok(lost > 0, "it was never behind");
    }
    assert.equal((await fetch(server.base + "/health")).status, 200);
    for (const one of [...stalled, reader, writer]) one.socket.close();
    await until("the descriptors", () => descriptors(server.pid) <= before + 3);
});
