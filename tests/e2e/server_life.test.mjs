// server_life - how the server starts, what it says when it cannot, and how it ends.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import dgram from "node:dgram";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import nodeTest, { after } from "node:test";
import { answer, connect, count, run, scratch, start, until, within } from "./server_process.mjs";

const test = count(nodeTest);
const folder = scratch();
after(() => rmSync(folder, { recursive: true, force: true }));

test("help and version", () => {
    const help = run(["--help"]);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--token-keys/);
    assert.match(help.stdout, /NECPNET_PORT, SERVER_PORT/);
    const version = run(["--version"]);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^necpnet-server \d+\.\d+\.\d+ .*mbedtls/);
});

test("--check-config shows every setting and hides secrets", () => {
    const file = path.join(folder, "right.json");
    writeFileSync(file, JSON.stringify({ port: 9000, token_keys: [{ id: 1, key: "ab".repeat(32) }], cors_origins: ["https://a.example"] }));
    const right = run(["--config", file, "--check-config"], { NECPNET_DRAIN_MS: "5" });
    assert.equal(right.code, 0, right.stderr);
    assert.match(right.stdout, /^port +9000 +\(file\)$/m);
    assert.match(right.stdout, /^drain_ms +5 +\(environment\)$/m);
    assert.match(right.stdout, /the configuration is right/);
    assert.ok(!right.stdout.includes("abab"));
});

test("the configuration in server/README.md is right as printed", () => {
    const file = path.join(folder, "readme.json");
    writeFileSync(file, /```json\n([^`]+)```/.exec(readFileSync("server/README.md", "utf8"))[1]);
    const shown = run(["--config", file, "--check-config"], { JWT_SECRET: "x".repeat(32) });
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /wss:\/\/eu-1\.game\.example\/ws/);
});

test("each mistake has its own message and exit code", () => {
    const file = path.join(folder, "wrong.json");
    writeFileSync(file, '{"prot": 1, "udp_port": 70000}');
    const wrong = run(["--config", file, "--mode", "development"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /prot .*did you mean port\?/);
    assert.match(wrong.stderr, /udp_port .*out of range; -1 \.\. 65535/);
    const unknown = run(["--bnid-address", "::1"]);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /did you mean bind_address\?/);
    const missing = run(["--config", path.join(folder, "nowhere.json")]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /nowhere\.json.*No such file/);
    if (process.getuid() !== 0) {
        const closed = path.join(folder, "closed.json");
        writeFileSync(closed, "{}");
        chmodSync(closed, 0);
        assert.match(run(["--config", closed]).stderr, /Permission denied/);
    }
    const foreign = run(["--mode", "production", "--security", "open", "--bind-address", "192.0.2.1", "--port", "0", "--udp-port", "0"]);
    assert.equal(foreign.code, 1);
    assert.match(foreign.stderr, /is 192\.0\.2\.1 an address of this machine\?/);
});

const listen = (server, ...where) => new Promise((resolve) => server.listen(...where, () => resolve(server.address().port)));

test("a busy port is named, TCP or UDP", async () => {
    const tcp = net.createServer();
    const port = await listen(tcp, 0, "127.0.0.1");
    const busy = run(["--port", String(port), "--udp-port", "0"]);
    tcp.close();
    assert.equal(busy.code, 1);
    assert.match(busy.stderr, new RegExp(`TCP port ${port} on 127\\.0\\.0\\.1 is in use`));
    assert.match(busy.stderr, /fix: .*--port/);
    assert.ok(!/UDP port \d+ .*in use/.test(busy.stderr));
    const udp = dgram.createSocket("udp4");
    await new Promise((resolve) => udp.bind(0, "127.0.0.1", resolve));
    const taken = run(["--port", "0", "--udp-port", String(udp.address().port)]);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, new RegExp(`UDP port ${udp.address().port} on 127\\.0\\.0\\.1 is in use`));
    udp.close();
});

test("an unusable certificate is named", () => {
    const pem = path.join(folder, "bad.pem");
    writeFileSync(pem, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    const bad = run(["--port", "0", "--udp-port", "0", "--certificate-file", pem, "--key-file", pem]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /bad\.pem.*cannot be used/s);
    const missing = run(["--certificate-file", path.join(folder, "no.pem"), "--key-file", pem]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /certificate_file .*no\.pem cannot be read/);
});

test("development mode greets, and writes its ready file", async () => {
    const server = await start();
    try {
        await until("the greeting", () => /Ctrl-C ends it/.test(server.stdout()));
        assert.match(server.stdout(), /DEVELOPMENT MODE: loopback only/);
        assert.match(server.stdout(), new RegExp(`http://127\\.0\\.0\\.1:${server.port}/`));
        assert.match(server.stdout(), new RegExp(`udp://127\\.0\\.0\\.1:${server.udpPort}`));
        const token = /within 45 s\):\n\n(\S{100,})\n/.exec(server.stdout());
        assert.ok(token, server.stdout());
        assert.equal(server.facts.pid, server.child.pid);
        assert.equal(server.facts.url, `http://127.0.0.1:${server.port}/`);
        await until("the log", () => /"listening".*\n/.test(server.stderr()));
        const lines = server.stderr().trim().split("\n").map((line) => JSON.parse(line));
        const up = lines.find((line) => line.event === "listening");
        assert.equal(up.tcp_port, server.port);
        assert.equal(up.level, "info");
        assert.ok(!server.stderr().includes(token[1]), "no token reaches the log");
    } finally {
        const ready = server.ready;
        assert.deepEqual(await server.stop(), { code: 0, signal: null });
        assert.ok(!existsSync(ready), "the ready file is gone");
    }
});

test("it listens on loopback alone in development mode", async () => {
    const server = await start();
    try {
        const done = spawnSync("cat", [`/proc/${server.pid}/net/tcp`], { encoding: "utf8" });
        const hex = server.port.toString(16).toUpperCase().padStart(4, "0");
        assert.match(done.stdout, new RegExp(`0100007F:${hex} 00000000:0000 0A`));
    } finally {
        await server.stop();
    }
});

// A request that is under way keeps a draining server up.
const hold = async (server) => {
    const held = await connect(server.port);
    held.write("POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{");
    await until("the request", async () => /^necpnet_rest_requests_active [1-9]/m.test(await (await fetch(server.base + "/metrics")).text()));
    return held;
};

test("the first signal drains: health says so, what is under way is finished", async () => {
    const server = await start();
    const held = await hold(server);
    server.kill("SIGTERM");
    const health = await until("draining", async () => {
        const response = await fetch(server.base + "/health");
        return response.status === 503 ? await response.json() : null;
    });
    assert.equal(health.status, "draining");
    assert.ok(server.child.exitCode === null, "still up");
    held.write("}");
    await held.closed;
    const last = answer(held.text());
    assert.equal(last.status, 503, "no new token from a server that goes");
    assert.equal(JSON.parse(last.body).code, "unavailable");
    assert.deepEqual(await server.waitEnd(5000), { code: 0, signal: null });
    assert.match(server.stderr(), /everybody has left/);
    await server.stop();
});

test("a drain ends at its deadline", async () => {
    const server = await start(["--drain-ms", "400"]);
    const held = await hold(server);
    const began = Date.now();
    server.kill("SIGINT");
    assert.deepEqual(await server.waitEnd(5000), { code: 0, signal: null });
    assert.ok(Date.now() - began >= 350 && Date.now() - began < 3000, `${Date.now() - began} ms`);
    held.destroy();
    await server.stop();
});

test("a second signal ends at once", async () => {
    const server = await start(["--drain-ms", "60000"]);
    const held = await hold(server);
    server.kill("SIGTERM");
    await until("draining", async () => (await fetch(server.base + "/health")).status === 503);
    server.kill("SIGTERM");
    assert.deepEqual(await server.waitEnd(3000), { code: 3, signal: null });
    held.destroy();
    await server.stop();
});

test("with a certificate the port speaks TLS, and tokens say wss", async (context) => {
    const key = path.join(folder, "key.pem");
    const certificate = path.join(folder, "certificate.pem");
    const made = spawnSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                                       "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                                       "-out", certificate], { encoding: "utf8" });
    if (made.error) {
        context.skip("openssl is not installed");
        return;
    }
    assert.equal(made.status, 0, made.stderr);
    const server = await start(["--certificate-file", certificate, "--key-file", key]);
    try {
        assert.equal(server.facts.url, `https://127.0.0.1:${server.port}/`);
        const request = (options, body = "") => new Promise((resolve, reject) => {
            const sent = https.request({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false, ...options }, (response) => {
                let text = "";
                response.on("data", (data) => (text += data));
                response.on("end", () => resolve({ status: response.statusCode, text }));
            });
            sent.setTimeout(8000, () => sent.destroy(new Error("no answer")));
            sent.on("error", reject);
            sent.end(body);
        });
        assert.equal((await request({ path: "/health" })).status, 200);
        const grant = await request({ path: "/api/v1/connect-tokens?transport=websocket", method: "POST" });
        assert.equal(grant.status, 201, grant.text);
        assert.deepEqual(JSON.parse(grant.text).urls, [`wss://127.0.0.1:${server.port}/ws`]);
        const plain = await connect(server.port);
        plain.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await within(plain.closed, 8000);
        assert.ok(!/200 OK/.test(plain.text()), "no plain HTTP on a TLS port");
        plain.destroy();
        assert.equal((await request({ path: "/health" })).status, 200);
    } finally {
        await server.stop();
    }
});
