// server_analysis - GET /network/analysis/*: what real clients and requests did shows up, and every bad parameter is named.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { BUILD, count, start, until } from "./server_process.mjs";

const test = count(nodeTest);
let server;
let load;
before(async () => {
    server = await start(["--region", "eu-test", "--history-minutes", "120"]);
    load = spawn(path.resolve(BUILD, "bin/necpnet"), ["load", "--clients", "5", "--rate", "20", "--seconds", "30", "--transport", "udp",
        "--token-url", server.base + "/api/v1/connect-tokens"], { stdio: "ignore" });
});
after(async () => {
    load.kill("SIGKILL");
    await server.stop();
});

const ask = async (query) => {
    const response = await fetch(`${server.base}/network/analysis/${query}`);
    return { status: response.status, body: await response.json() };
};

test("traffic by the second, for each transport", async () => {
    const seen = await until("traffic over UDP", async () => {
        const { status, body } = await ask("traffic?timeframe=1m&granularity=second");
        assert.equal(status, 200);
        return body.total.messages_received > 100 && body.total.latency_ms && body;
    }, 20000);
    assert.equal(seen.region, "eu-test");
    assert.equal(seen.points.length, 60);
    assert.ok(seen.points.some((point) => point.seconds === 1 && point.bytes_received > 1000));
    assert.ok(seen.total.latency_ms.p50 < 1000);
    const udp = (await ask("traffic?timeframe=1m&protocol=udp")).body;
    const web = (await ask("traffic?timeframe=1m&protocol=websocket")).body;
    assert.ok(udp.total.bytes_sent > 1000);
    assert.equal(web.total.bytes_sent, 0);
    assert.equal(web.total.latency_ms, null);
});

test("connections, routes and what is left", async () => {
    const connections = (await ask("connections?timeframe=5m&region=eu-test")).body;
    assert.equal(connections.total.udp.max, 5);
    assert.equal(connections.total.websocket.max, 0);
    assert.equal(connections.granularity, "second");
    const routes = (await ask("routes?route_type=http&timeframe=1h")).body.routes;
    const tokens = routes.find((route) => route.name === "POST /api/v1/connect-tokens");
    assert.ok(tokens.count >= 5 && tokens.failed === 0 && tokens.max_ms > 0);
    const capacity = (await ask("capacity?timeframe=2h")).body;
    assert.deepEqual(capacity.resources.map((resource) => resource.name), ["players", "tick_us", "descriptors"]);
    assert.ok(capacity.resources.every((resource) => resource.share > 0 && resource.share < 1));
    assert.ok(capacity.players_headroom > 0);
});

test("the seed's paths are there below /api/v1/network, too", async () => {
    const response = await fetch(`${server.base}/api/v1/network/network/analysis/traffic`);
    assert.equal(response.status, 200);
});

test("each bad parameter is named", async () => {
    const wrong = {
        "traffic?timeframe=": "timeframe", "traffic?timeframe=0s": "timeframe", "traffic?timeframe=3h": "timeframe", "traffic?timeframe=1y": "timeframe",
        "traffic?timeframe=-1h": "timeframe", "traffic?timeframe=1.5h": "timeframe", "traffic?timeframe=99999999": "timeframe", "traffic?timeframe=h": "timeframe",
        "traffic?timeframe=1h&timeframe=1h": "timeframe", "traffic?timeframe=2h&granularity=second": "granularity", "traffic?granularity=fortnight": "granularity",
        "traffic?protocol=tcp": "protocol", "routes?route_type=smtp": "route_type", "connections?region=%FF": "region", "capacity?protocol=udp": "protocol",
        "traffic?color=red": "color",
    };
    for (const [query, field] of Object.entries(wrong)) {
        const { status, body } = await ask(query);
        assert.equal(status, 400, query + JSON.stringify(body));
        assert.equal(body.details.field, field, query);
    }
    const elsewhere = await ask("traffic?region=us-east");
    assert.equal(elsewhere.status, 404);
    assert.equal(elsewhere.body.details.region, "eu-test");
});
