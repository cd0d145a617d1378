// server_hostile - bytes that a public port must bear: smuggling, endless heads and bodies, slow and greedy clients. After each
// the server answers others as before.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { answer, connect, count, descriptors, exchange, listeners, scratch, sleep, start, until, within } from "./server_process.mjs";

const test = count(nodeTest);
const folder = scratch();
const FILE_BYTES = 7000000;
let server;
let small; // with short deadlines and few places

before(async () => {
    writeFileSync(path.join(folder, "big.txt"), Buffer.alloc(FILE_BYTES, "x"));
    writeFileSync(path.join(folder, "index.html"), "index");
    server = await start(["--web-directory", folder]);
    small = await start(["--web-directory", folder, "--http-timeout-ms", "700", "--http-connections-max", "4", "--http-body-bytes-max", "2048"]);
});

after(async () => {
    await server?.stop();
    await small?.stop();
    rmSync(folder, { recursive: true, force: true });
});

const isWell = async (which = server) => assert.equal((await fetch(which.base + "/health")).status, 200);
const refused = async (bytes, status, which = server) => {
    const text = await exchange(which.port, bytes);
    const reply = answer(text);
    assert.equal(reply.status, status, JSON.stringify(text));
    assert.equal(reply.rest, "", "one answer alone");
    return reply;
};

test("a body with two ends is refused, and nothing behind it is a request", async () => {
    const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const both = `POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\n`;
    await refused(`${both}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400);
    await refused(`${both}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`, 400);
    await refused(`${both}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd${smuggled}`, 400);
    await refused(`${both}Content-Length: 4, 4\r\n\r\nabcd${smuggled}`, 400);
    await refused(`${both}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`, 501);
    await refused(`${both}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400);
    await refused(`${both}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400);
    await refused(`${both}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n${smuggled}`, 400);
    await isWell();
});

test("one connection carries one request", async () => {
    const get = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const text = await exchange(server.port, get + get + get);
    assert.equal(text.match(/HTTP\/1\.1 200/g).length, 1);
    assert.equal(answer(text).headers.connection, "close");
    const behind = await exchange(server.port, `POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n${get}`);
    assert.equal(behind.match(/HTTP\/1\.1 /g).length, 1);
});

test("heads that can be read in two ways are refused", async () => {
    await refused("GET /health HTTP/1.1\r\n\r\n", 400);
    await refused("GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    await refused("GET /health HTTP/1.1\r\nHost: localhost\r\nX\x00Y: 1\r\n\r\n", 400);
    await refused("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400);
    await refused("GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
    await refused("GET /health HTTP/3.0\r\nHost: localhost\r\n\r\n", 505);
    await refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client that errs about the port\r\n\r\n", 400);
    await refused("hello\r\n\r\n", 400);
    await isWell();
});

test("a client cannot speak for the edge", async () => {
    const ports = listeners(server.pid).filter((port) => port !== server.port);
    assert.equal(ports.length, 1, "one port of the REST server");
    const get = (headers) => `GET /health HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
    for (const headers of ["", "X-Necpnet-Edge: \r\n", "X-Necpnet-Edge: 00000000000000000000000000000000\r\n"]) {
        assert.equal(answer(await exchange(ports[0], get(headers))).status, 403);
    }
    // through the edge a forged header is dropped, and the request is a request like any other
    assert.equal(answer(await exchange(server.port, get("X-Necpnet-Edge: forged\r\nConnection: X-Necpnet-Edge, keep-alive\r\n"))).status, 200);
    await refused(`GET /nothing HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n`, 404);
    assert.ok(!server.stderr().includes("6.6.6.6"), "a client's X-Forwarded-For is not believed");
});

test("endless heads and targets end", async () => {
    const huge = await connect(server.port);
    huge.write("GET /health HTTP/1.1\r\nHost: localhost\r\n");
    for (let i = 0; i < 200; i++) huge.write(`X-${i}: ${"a".repeat(100)}\r\n`);
    await within(huge.closed, 8000, () => assert.fail("not closed"));
    assert.equal(answer(huge.text()).status, 431);
    await refused(`GET /health HTTP/1.1\r\nHost: localhost\r\n${"A: b\r\n".repeat(100)}\r\n`, 431);
    await refused(`GET /${"a".repeat(4000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 414);
    await isWell();
});

test("a slow head is answered in time and harms nobody", async () => {
    const before = descriptors(server.pid);
    const slow = await Promise.all(Array.from({ length: 30 }, () => connect(server.port)));
    for (const one of slow) one.write("GET /health HTTP/1.1\r\n");
    const drip = setInterval(() => slow.forEach((one) => !one.socket.destroyed && one.write("X: y\r\n")), 300);
    const began = Date.now();
    await isWell();
    assert.ok(Date.now() - began < 2000, "others are not kept waiting");
    await within(Promise.all(slow.map((one) => one.closed)), 20000, () => assert.fail("still open"));
    clearInterval(drip);
    for (const one of slow) assert.match(one.text(), /^HTTP\/1\.1 408 /);
    await until("the descriptors", () => descriptors(server.pid) <= before + 3);
});

test("a slow body is answered 408 and holds no thread of the REST server", async () => {
    const slow = await Promise.all(Array.from({ length: 3 }, () => connect(small.port)));
    for (const one of slow) one.write("POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    await isWell(small);
    await within(Promise.all(slow.map((one) => one.closed)), 8000, () => assert.fail("still open"));
    for (const one of slow) assert.equal(answer(one.text()).status, 408);
});

test("too many requests at once are answered 503, and there is room again afterwards", async () => {
    const held = await Promise.all(Array.from({ length: 4 }, () => connect(small.port)));
    for (const one of held) one.write("POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
    await until("a refusal", async () => {
        const text = await exchange(small.port, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return text.startsWith("HTTP/1.1 503 ") && /Retry-After: 1/.test(text);
    });
    for (const one of held) one.destroy();
    await until("room", async () => (await exchange(small.port, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")).startsWith("HTTP/1.1 200 "));
});

test("bodies have a limit, whole or in chunks", async () => {
    const head = "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    await refused(`${head}Content-Length: 2049\r\n\r\n`, 413, small);
    await refused(`${head}Content-Length: 99999999999999999999\r\n\r\n`, 400, small); // no number of 64 bits
    await refused(`${head}Transfer-Encoding: chunked\r\n\r\n801\r\n`, 413, small);
    await refused(`${head}Transfer-Encoding: chunked\r\n\r\n${`400\r\n${"a".repeat(1024)}\r\n`.repeat(3)}`, 413, small);
    await refused(`${head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n`, 413, small);
    await isWell(small);
});

test("a body may come in chunks, and after 100 Continue", async () => {
    const head = "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    const chunked = await refused(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"pla\r\na\r\nyer":"Ada"\r\n1\r\n}\r\n0\r\n\r\n`, 201);
    assert.equal(JSON.parse(chunked.body).player, "Ada");
    const patient = await connect(server.port);
    patient.write(`${head}Content-Length: 16\r\nExpect: 100-continue\r\n\r\n`);
    await until("100 Continue", () => patient.text() === "HTTP/1.1 100 Continue\r\n\r\n");
    patient.write('{"player":"Eve"}');
    await patient.closed;
    assert.equal(answer(patient.text().slice(25)).status, 201);
    await refused(`${head}Content-Length: 2\r\nExpect: a-pony\r\n\r\n{}`, 417);
});

test("one byte at a time is fine", async () => {
    const slow = await connect(server.port);
    slow.socket.setNoDelay(true);
    const bytes = 'POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
        + '10\r\n{"player":"Eve"}\r\n0\r\n\r\n';
    for (const byte of bytes) {
        slow.write(byte);
        await sleep(1);
    }
    await slow.closed;
    assert.equal(answer(slow.text()).status, 201);
});

test("upgrades that are not for us are refused by name", async () => {
    const upgrade = (at, more) => `GET ${at} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
        + `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`;
    await refused(upgrade("/elsewhere", "Sec-WebSocket-Protocol: necpnet.v1\r\n"), 404);
    await refused(upgrade("/ws", ""), 400);
    await refused(upgrade("/ws", "Sec-WebSocket-Protocol: other\r\n"), 400);
    await refused("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", 426);
    await isWell();
});

test("a client that does not read holds up nobody", async () => {
    const greedy = await Promise.all(Array.from({ length: 12 }, () => connect(server.port)));
    for (const one of greedy) {
        one.socket.pause();
        one.write("GET /big.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    await sleep(300);
    for (const one of greedy) one.destroy();
    const began = Date.now();
    await until("an answer for others", async () => (await fetch(server.base + "/health")).status === 200);
    assert.ok(Date.now() - began < 5000);
    const whole = await (await fetch(server.base + "/big.txt")).arrayBuffer();
    assert.equal(whole.byteLength, FILE_BYTES);
});

test("clients that vanish leave nothing behind", async () => {
    const before = descriptors(server.pid);
    for (let round = 0; round < 5; round++) {
        const some = await Promise.all(Array.from({ length: 20 }, () => connect(server.port)));
        some.forEach((one, i) => one.write(["G", "GET /health HTTP/1.1\r\n", "GET /big.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                            "POST /api/v1/connect-tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"][i % 4]));
        await sleep(30);
        some.forEach((one, i) => (i % 2 ? one.destroy() : one.socket.resetAndDestroy()));
    }
    await until("the descriptors", () => descriptors(server.pid) <= before + 3);
    await isWell();
});
