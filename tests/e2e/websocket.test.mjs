// websocket - ws_echo against the npm package `ws` and Chromium, both ways: our server with their clients, our client with
// their server, plain, over TLS, and compressed with and without kept windows. They check masks, lengths, UTF-8, DEFLATE
// and close codes by themselves, so that each side is judged by another.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { BUILD, count, until } from "./server_process.mjs";

const test = count(nodeTest);
const ECHO = path.resolve(BUILD, "tests/ws_echo");
const certificate = (name) => path.resolve("tests/certificates", name);
const children = new Set();
let port;
let tlsPort;
let deflatePort;
let contextPort;

// A running ws_echo: { child, ended: promise of { code, stderr } }.
function echo(...args) {
    const child = spawn(ECHO, args.map(String), { stdio: ["ignore", "pipe", "pipe"] });
    const run = { child, stdout: "", stderr: "" };
    children.add(child);
    child.stdout.on("data", (data) => (run.stdout += data));
    child.stderr.on("data", (data) => (run.stderr += data));
    run.ended = once(child, "exit").then(([code]) => ({ code, stderr: run.stderr }));
    return run;
}

async function serve(...args) {
    const run = echo(0, ...args);
    return Number((await until("ws_echo to serve", () => run.stdout.match(/serving on port (\d+)/)))[1]);
}

before(async () => {
    port = await serve();
    deflatePort = await serve("--deflate");
    contextPort = await serve("--deflate-context");
    tlsPort = await serve("--certificate", certificate("server.pem"), "--key", certificate("server.key"));
});

after(() => {
    for (const child of children) child.kill("SIGKILL");
});

// The next message as { data, isBinary }.
async function next(socket) {
    const [data, isBinary] = await once(socket, "message");
    return { data, isBinary };
}

async function connect(url, protocols, options) {
    const socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
    await once(socket, "open");
    return socket;
}

const messages = [
    "", "hello", "h\u00e4llo \u20ac \u{1f3ae}", "x".repeat(125), "x".repeat(126), "x".repeat(65535), "\u00e9".repeat(70000),
    Buffer.alloc(0), Buffer.from([0, 255, 128]), Buffer.alloc(65536, 7), Buffer.alloc(3 << 20, "binary"),
];

for (const [what, url, options] of [
    ["plain", () => `ws://127.0.0.1:${port}/any/path?query`, {}],
    ["TLS", () => `wss://localhost:${tlsPort}/`, { ca: readFileSync("tests/certificates/ca.pem") }],
]) {
    test(`our server echoes to their client, ${what}`, async () => {
        const socket = await connect(url(), undefined, options);
        assert.equal(socket.protocol, "");
        for (const message of messages) {
            const answer = next(socket);
            socket.send(message);
            const { data, isBinary } = await answer;
            assert.equal(isBinary, typeof message !== "string");
            assert.ok(data.equals(Buffer.from(message)));
        }
        const pong = once(socket, "pong");
        socket.ping("are you there");
        assert.equal(String((await pong)[0]), "are you there");
        const closed = once(socket, "close");
        socket.close(4321, "enough");
        assert.deepEqual((await closed)[0], 4321);
    });
}

test("our server joins fragments and keeps order under a flood", async () => {
    const socket = await connect(`ws://127.0.0.1:${port}/`);
    const answer = next(socket);
    socket.send("frag", { fin: false });
    socket.ping();
    socket.send("ment", { fin: false });
    socket.send("ed", { fin: true });
    assert.equal(String((await answer).data), "fragmented");
    let expected = 0;
    socket.on("message", (data) => assert.equal(Number(data), expected++));
    for (let i = 0; i < 20000; i++) socket.send(String(i));
    await until("all echoes", () => expected === 20000, 20000);
    socket.terminate();
});

test("our server takes the first subprotocol that is offered", async () => {
    const socket = await connect(`ws://127.0.0.1:${port}/`, ["second.v2", "first.v1"]);
    assert.equal(socket.protocol, "second.v2");
    socket.close();
    await once(socket, "close");
});

test("our server names faults by their close codes", async () => {
    // Raw frames behind an upgrade: what `ws` refuses to send.
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const head = `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
                 `Sec-WebSocket-Key: ${key}\r\n\r\n`;
    for (const [frame, code] of [
        [[0xc1, 0x80, 0, 0, 0, 0], 1002],
        [[0x81, 0x00], 1002],
        [[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007],
        [[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1009],
    ]) {
        const socket = net.connect(port, "127.0.0.1");
        let bytes = Buffer.alloc(0);
        socket.on("data", (data) => (bytes = Buffer.concat([bytes, data])));
        socket.write(head);
        socket.write(Buffer.from(frame));
        await once(socket, "close");
        const at = bytes.indexOf("\r\n\r\n") + 4;
        assert.equal(bytes[at], 0x88);
        assert.equal(bytes.readUInt16BE(at + 2), code);
    }
});

test("our server answers 426 to what is no upgrade and 400 to what is no HTTP", async () => {
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 426);
    const socket = net.connect(port, "127.0.0.1");
    const [data] = (socket.write("\x00\x01garbage"), await once(socket, "data"));
    assert.match(String(data), /^HTTP\/1\.1 400 /);
    socket.destroy();
});

// Their server says `script(socket)`; ours echoes until it is closed.
async function withTheirServer(options, args, scheme, script) {
    const server = new WebSocketServer({ perMessageDeflate: false, ...options });
    if (!options.server) await once(server, "listening");
    const connected = once(server, "connection");
    const run = echo("--connect", `${scheme}://localhost:${(options.server ?? server).address().port}/path?query`, ...args);
    const early = run.ended.then(({ code, stderr }) => assert.fail(`ws_echo ended with ${code}: ${stderr}`));
    early.catch(() => {});
    try {
        const [socket, request] = await Promise.race([connected, early]);
        await script(socket, request);
        const closed = once(socket, "close");
        socket.close(1000, "done");
        assert.equal((await closed)[0], 1000);
        const { code, stderr } = await run.ended;
        assert.equal(code, 0, stderr);
    } finally { // what stays open would keep this program alive
        run.child.kill("SIGKILL");
        for (const socket of server.clients) socket.terminate();
        server.close();
    }
}

async function echoesAll(socket) {
    for (const message of messages) {
        const answer = next(socket);
        socket.send(message);
        const { data, isBinary } = await answer;
        assert.equal(isBinary, typeof message !== "string");
        assert.ok(data.equals(Buffer.from(message)));
    }
}

test("our client echoes to their server", async () => {
    await withTheirServer({ port: 0 }, ["--subprotocol", "a, b"], "ws", async (socket, request) => {
        assert.equal(request.url, "/path?query");
        assert.equal(socket.protocol, "a");
        await echoesAll(socket);
    });
});

test("our client echoes to their server over TLS and verifies its certificate", async () => {
    const tls = { cert: readFileSync(certificate("server.pem")), key: readFileSync(certificate("server.key")) };
    const server = https.createServer(tls).listen(0);
    await once(server, "listening");
    try {
        await withTheirServer({ server }, ["--ca", certificate("ca.pem")], "wss", echoesAll);
        const url = `wss://localhost:${server.address().port}/`;
        const { code, stderr } = await echo("--connect", url, "--ca", certificate("other.pem")).ended;
        assert.equal(code, 1);
        assert.match(stderr, /ERR_CERTIFICATE/);
    } finally {
        server.close();
    }
});

// ---- compressed --------------------------------------------------------------------------------------------------------

const json = (seed, rows) => JSON.stringify(Array.from({ length: rows }, (_, i) => ({ id: i, x: seed * i, name: "player" })));
const compressible = [...messages, ...Array.from({ length: 20 }, (_, i) => json(i, 1 + i * 10)), json(3, 50000)];

async function echoesCompressed(socket, send) {
    for (const message of compressible) {
        const answer = next(socket);
        send(message);
        const { data, isBinary } = await answer;
        assert.equal(isBinary, typeof message !== "string");
        assert.ok(data.equals(Buffer.from(message)));
    }
    const pieces = next(socket); // one compressed message in fragments, with a ping between
    socket.send("a".repeat(1000), { fin: false, compress: true });
    socket.ping();
    socket.send("b".repeat(1000), { fin: false, compress: true });
    socket.send("c", { fin: true, compress: true });
    assert.equal(String((await pieces).data), "a".repeat(1000) + "b".repeat(1000) + "c");
}

for (const [what, options] of [
    ["as it comes", {}],
    ["without context", { serverNoContextTakeover: true, clientNoContextTakeover: true }],
    ["with small windows", { serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
    ["with windows of 256 bytes, which zlib cannot write", { serverMaxWindowBits: 8 }],
    ["with one side's context", { serverNoContextTakeover: true, clientMaxWindowBits: 12 }],
]) {
    test(`our servers and their client compress, ${what}`, async () => {
        for (const number of [deflatePort, contextPort]) {
            const socket = await connect(`ws://127.0.0.1:${number}/`, undefined, { perMessageDeflate: { threshold: 0, ...options } });
            assert.match(socket.extensions, /^permessage-deflate/);
            let wire = 0;
            socket._socket.on("data", (data) => (wire += data.length));
            await echoesCompressed(socket, (message) => socket.send(message));
            const bytes = compressible.reduce((sum, message) => sum + Buffer.byteLength(message), 0);
            if (!what.includes("256")) assert.ok(wire < bytes / 3, `${wire} of ${bytes} bytes`);
            socket.close();
            await once(socket, "close");
        }
    });
}

for (const [what, args, options] of [
    ["as it comes", ["--deflate"], {}],
    ["with context", ["--deflate-context"], {}],
    ["with context and small windows", ["--deflate-context"], { serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
    ["with context on one side", ["--deflate-context"], { serverNoContextTakeover: true }],
    ["and their server does not", ["--deflate-context"], false],
]) {
    test(`our client and their server compress, ${what}`, async () => {
        const perMessageDeflate = options && { threshold: 0, ...options };
        await withTheirServer({ port: 0, perMessageDeflate }, args, "ws", async (socket) => {
            assert.equal(socket.extensions.startsWith("permessage-deflate"), Boolean(options));
            await echoesCompressed(socket, (message) => socket.send(message));
        });
    });
}

test("our client answers as the client of a conformance suite", async () => {
    const server = new WebSocketServer({ port: 0 });
    await once(server, "listening");
    const seen = [];
    server.on("connection", (socket, request) => {
        seen.push(request.url);
        socket.on("error", () => {});
        if (request.url === "/getCaseCount") {
            socket.send("3");
            socket.close();
        } else if (request.url.startsWith("/runCase")) {
            socket.send(request.url);
            socket.on("message", (data) => {
                assert.equal(String(data), request.url);
                if (request.url.includes("case=2")) socket.terminate();
                else socket.close();
            });
        } else {
            socket.close();
        }
    });
    const { code, stderr } = await echo("--suite", `ws://127.0.0.1:${server.address().port}`, "--agent", "x", "--deflate").ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(seen, ["/getCaseCount", ...[1, 2, 3].map((n) => `/runCase?case=${n}&agent=x`), "/updateReports?agent=x"]);
    server.close();
});

test("our servers echo to Chromium, plain and compressed", async () => {
    const { chromium } = await import("playwright-core");
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
    try {
        const page = await browser.newPage();
        for (const [number, extensions] of [[port, ""], [deflatePort, "permessage-deflate"], [contextPort, "permessage-deflate"]]) {
            const result = await page.evaluate(async (url) => {
                const socket = new WebSocket(url);
                socket.binaryType = "arraybuffer";
                await new Promise((resolve, reject) => ((socket.onopen = resolve), (socket.onclose = reject)));
                const echo = (message) => new Promise((resolve) => ((socket.onmessage = (event) => resolve(event.data)), socket.send(message)));
                let good = 0;
                for (let size = 0; size < 1 << 21; size = size * 3 + 1) {
                    const text = "\u20ac{\"x\":1},".repeat(size / 11);
                    if ((await echo(text)) === text) good++;
                    const bytes = new Uint8Array(size).map((_, i) => i % 7 ? i >> 8 : Math.random() * 256);
                    const back = new Uint8Array(await echo(bytes));
                    if (back.length === size && back.every((byte, i) => byte === bytes[i])) good++;
                }
                const closed = new Promise((resolve) => (socket.onclose = (event) => resolve(event.code)));
                socket.close(4000);
                return { good, extensions: socket.extensions.split(";")[0], code: await closed };
            }, `ws://127.0.0.1:${number}/`);
            assert.deepEqual(result, { good: 28, extensions, code: 4000 });
        }
    } finally {
        await browser.close();
    }
});

test("our client names why it could not connect", async () => {
    const plain = net.createServer((socket) => socket.end("SSH-2.0-other\r\n")).listen(0);
    await once(plain, "listening");
    plain.unref();
    for (const [url, name] of [
        ["ws://127.0.0.1:1/", /ERR_CONNECTION_REFUSED/],
        [`ws://localhost:${plain.address().port}/`, /ERR_NOT_HTTP/],
        [`wss://localhost:${port}/`, /ERR_TLS/],
        ["ws://no-such-host.invalid/", /ERR_HOST_UNKNOWN/],
        ["http://localhost/", /ERR_BAD_URL/],
    ]) {
        const { code, stderr } = await echo("--connect", url, "--insecure").ended;
        assert.equal(code, 1, url);
        assert.match(stderr, name);
    }
    plain.close();
});
