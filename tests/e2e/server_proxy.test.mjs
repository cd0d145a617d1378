// server_proxy - clients behind a proxy, with headers honest and hostile. Aim: limits, audit and the list of connections count the
// address that a trusted proxy tells, and no client can choose its own; connect tokens name wss:// where the proxy speaks TLS.
// Method: this test is the proxy (127.0.0.1), and a client that pretends to be one (127.0.9.1).
import assert from "node:assert/strict";
import http from "node:http";
import nodeTest, { after, before } from "node:test";
import WebSocket from "ws";
import * as jwt from "./jwt.mjs";
import { count, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const token = (sub, role) => jwt.make({ alg: "HS256", typ: "JWT" }, { sub, role, exp: jwt.now() + 600 }, jwt.hs256(SECRET));
let server;

before(async () => {
    server = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--udp-port", "-1", "--bots", "0", "--trusted-proxies", "127.0.0.1/32,192.0.2.0/24",
                          "--rate-token", "5", "--peers-per-address-max", "2"], { JWT_SECRET: SECRET });
});
after(() => server?.stop());

function ask(path, { from = "127.0.0.1", method = "GET", headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
        const request = http.request({ host: "127.0.0.1", port: server.port, path, method, headers, localAddress: from, agent: false }, (response) => {
            let text = "";
            response.on("data", (data) => (text += data));
            response.on("end", () => resolve({ status: response.statusCode, body: text }));
        });
        request.on("error", reject);
        request.end(body);
    });
}

const admin = { Authorization: `Bearer ${token("root", "admin")}` };
const wrong = { Authorization: "Bearer no.token.atall" };

test("the audit names the client behind the proxy, not what the client says of itself", async () => {
    const cases = [
        ["127.0.0.1", { "X-Forwarded-For": "203.0.113.7" }, "203.0.113.0"],
        ["127.0.0.1", { "X-Forwarded-For": "1.2.3.4, 198.51.100.7, 192.0.2.8" }, "198.51.100.0"], // two proxies, and an invention before them
        ["127.0.0.1", { "X-Forwarded-For": "203.0.114.9", Forwarded: "for=1.2.3.4", "X-Real-IP": "1.2.3.4" }, "203.0.114.0"],
        ["127.0.0.1", { "X-Forwarded-For": "2001:db8:1:2:3::4" }, "2001:db8:1::"],
        ["127.0.0.1", { "X-Forwarded-For": "1.2.3.4, <script>" }, "127.0.0.0"],
        ["127.0.9.1", { "X-Forwarded-For": "203.0.113.7" }, "127.0.9.0"], // no proxy of ours
    ];
    for (const [from, headers, expected] of cases) {
        const before = (await list()).length;
        assert.equal((await ask("/ws/connections", { from, headers: { ...headers, ...wrong } })).status, 401);
        const entries = await until("the audit", async () => (await list()).length > before && list());
        assert.equal(entries[0].from, expected, JSON.stringify(headers));
    }
    async function list() {
        const answer = await ask("/api/v1/admin/audit?limit=100", { headers: { ...admin, "X-Forwarded-For": "198.18.0.1" } });
        assert.equal(answer.status, 200, answer.body);
        const { events } = JSON.parse(answer.body);
        return events.filter((one) => one.event === "credential_refused");
    }
});

test("a limit is each client's own behind one proxy, and a header does not get round it", async () => {
    const tries = (from, header) => Promise.all(Array.from({ length: 40 }, (_, i) =>
        ask("/ws/connections", { from, headers: { ...wrong, "X-Forwarded-For": header(i) } }).then((answer) => answer.status)));
    assert.ok((await tries("127.0.0.1", () => "203.0.115.1")).includes(429), "one client, too often");
    assert.deepEqual(new Set(await tries("127.0.0.1", (i) => `203.0.116.${i}`)), new Set([401]), "forty clients, once each");
    assert.ok((await tries("127.0.0.1", (i) => `203.0.117.${i}, 203.0.115.2`)).includes(429), "one client that invents addresses");
    assert.ok((await tries("127.0.9.2", (i) => `203.0.118.${i}`)).includes(429), "one that pretends to be a proxy");
});

function socket(from, forwarded) {
    return new Promise((resolve) => {
        const one = new WebSocket(`ws://127.0.0.1:${server.port}/ws?access_token=${token("ann-" + forwarded, "player")}`, "jsonrpc2.necpnet",
                                  { localAddress: from, headers: { "X-Forwarded-For": forwarded } });
        one.on("open", () => resolve(one));
        one.on("error", () => resolve(null));
    });
}

test("WebSockets have the client's address, too", async () => {
    const sockets = [await socket("127.0.0.1", "203.0.119.5"), await socket("127.0.9.3", "203.0.120.5")];
    for (const one of sockets) one.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "session.hello", params: {} }));
    await until("both in the list", async () => {
        const { connections } = JSON.parse((await ask("/ws/connections", { headers: admin })).body);
        const seen = connections.map((one) => one.from).sort();
        return seen.length === 2 && (assert.deepEqual(seen, ["127.0.9.0", "203.0.119.0"]), true);
    });
    for (const one of sockets) one.close();
});

test("connect tokens name wss:// when the proxy says https, and never because a client does", async () => {
    const wish = (from, headers) => ask("/api/v1/connect-tokens", { from, method: "POST", body: "{}",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${token("bob", "player")}`, ...headers } })
        .then((answer) => (assert.equal(answer.status, 201, answer.body), JSON.parse(answer.body).urls.map((url) => url.split(":")[0])));
    assert.deepEqual(await wish("127.0.0.1", { "X-Forwarded-For": "198.18.3.1", "X-Forwarded-Proto": "https" }), ["wss"]);
    assert.deepEqual(await wish("127.0.0.1", { "X-Forwarded-For": "198.18.3.2" }), ["ws"]);
    assert.deepEqual(await wish("127.0.9.4", { "X-Forwarded-Proto": "https" }), ["ws"]);
});
