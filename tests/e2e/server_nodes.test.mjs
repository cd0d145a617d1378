// server_nodes - several workers of one process are nodes: each topic is counted by one of them. Aim: on whatever node a client
// is, it sees the same epoch and offsets, gets its answer before its own message, recovers elsewhere what it missed, and its
// repeated publish is done once; who is on another node is not told by the notification service. Method: clients of all nodes.
import assert from "node:assert/strict";
import http from "node:http";
import nodeTest, { after, before } from "node:test";
import { open } from "./rpc_client.mjs";
import { count, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const NODES = 3;
let crew;
let peer;
const notified = [];

async function join(query) {
    const client = await open(query, { at: crew });
    client.hello = await client.call("session.hello", {});
    client.node = (await client.call("registry.nodes")).node;
    return client;
}

// One client on each node. The system spreads connections: take them until there is one everywhere.
async function everywhere(prefix) {
    const clients = new Map();
    for (let i = 0; i < 300 && clients.size < NODES; i++) {
        const client = await join(`player=${prefix}${i}&role=service`);
        client.name = `${prefix}${i}`;
        if (clients.has(client.node)) client.socket.close();
        else clients.set(client.node, client);
    }
    assert.equal(clients.size, NODES);
    return [...clients.values()];
}

before(async () => {
    peer = http.createServer((request, response) => {
        let body = "";
        request.on("data", (data) => (body += data));
        request.on("end", () => {
            notified.push(JSON.parse(body));
            response.end("{}");
        });
    });
    await new Promise((resolve) => peer.listen(0, "127.0.0.1", resolve));
    crew = await start(["--workers", String(NODES), "--bots", "0", "--resume-window-ms", "1000",
                        "--partner-notification-url", `http://127.0.0.1:${peer.address().port}`], { NECPNET_PARTNER_TOKEN: "t" });
    const first = await join("player=first&role=admin");
    await until("all nodes", async () => (await first.call("registry.nodes")).nodes.length === NODES);
    first.socket.close();
});

after(async () => {
    await crew?.stop();
    peer?.close();
});

test("every node gives a topic the same epoch and offsets, and every message once", async () => {
    const clients = await everywhere("same");
    const topics = ["chat.a", "chat.b", "chat.c", "chat.d", "game.e", "game.f"];
    const began = await Promise.all(clients.map((client) => Promise.all(topics.map((topic) => client.call("topic.subscribe", { topic })))));
    for (let t = 0; t < topics.length; t++) assert.equal(new Set(began.map((answers) => answers[t].epoch)).size, 1, topics[t]);
    assert.equal(new Set(await Promise.all(topics.map(async (key) => (await clients[0].call("registry.nodes", { key })).owner))).size > 1, true);
    const placed = new Map(); // "topic epoch offset" -> text, as the publishers were told
    const answered = clients.map(() => new Set());
    await Promise.all(clients.map(async (client, c) => {
        for (let n = 0; n < 40; n++) {
            const topic = topics[n % topics.length];
            const text = `${c}.${n}`;
            const { epoch, offset } = await client.call("event.publish", { topic, type: "chat.message", data: { text } });
            assert.ok(!placed.has(`${topic} ${epoch} ${offset}`));
            placed.set(`${topic} ${epoch} ${offset}`, text);
            answered[c].add(text);
        }
    }));
    for (const client of clients) {
        await until("all messages", () => client.told("topic.message").length === 120);
        for (const { topic, epoch, offset, event } of client.told("topic.message")) {
            assert.equal(event.data.text, placed.get(`${topic} ${epoch} ${offset}`));
        }
        for (const topic of topics) {
            const offsets = client.told("topic.message").filter((one) => one.topic === topic).map((one) => one.offset);
            assert.deepEqual(offsets, offsets.map((_, i) => i + 1));
        }
        assert.equal(client.told("topic.gap").length + client.told("topic.renewed").length, 0);
        client.socket.close();
    }
});

test("who publishes hears the answer first; a batch is answered as a whole", async () => {
    const clients = await everywhere("batch");
    for (const client of clients) {
        await client.call("topic.subscribe", { topic: "chat.batch" });
        const order = [];
        client.socket.on("message", (data) => order.push(JSON.parse(String(data))));
        client.raw(JSON.stringify([
            { jsonrpc: "2.0", id: "one", method: "event.publish", params: { topic: "chat.batch", type: "chat.message", data: { text: "1" } } },
            { jsonrpc: "2.0", id: "two", method: "event.publish", params: { topic: "chat.other", type: "chat.message", data: { text: "2" } } },
            { jsonrpc: "2.0", method: "event.publish", params: { topic: "chat.batch", type: "chat.message", data: { text: "3" } } },
            { jsonrpc: "2.0", id: "bad", method: "event.publish", params: { topic: "chat.batch", type: "chat.message", data: { text: 4 } } },
            { jsonrpc: "2.0", id: "sub", method: "topic.subscribe", params: { topic: `chat.new-${client.name}` } },
        ]));
        const batch = await until("the batch", () => order.find(Array.isArray));
        assert.deepEqual(batch.map((one) => one.id).sort(), ["bad", "one", "sub", "two"]);
        const byId = Object.fromEntries(batch.map((one) => [one.id, one]));
        assert.equal(byId.bad.error.code, -32602);
        assert.equal(byId.sub.result.recovered, true);
        await until("both messages", () => client.told("topic.message").filter((one) => one.event.from === client.name).length === 2);
        const alone = (await client.call("event.publish", { topic: "chat.batch", type: "chat.message", data: { text: "5" } })).offset;
        const answer = order.findIndex((one) => one.result?.offset === alone);
        await until("the fifth", () => order.some((one) => one.params?.offset === alone && one.params?.event?.data.text === "5"));
        assert.ok(answer >= 0 && answer < order.findIndex((one) => one.params?.event?.data.text === "5"));
    }
    for (const client of clients) client.socket.close();
});

test("a client goes on, on another node, with what it missed", async () => {
    const clients = await everywhere("back");
    const [gone, writer] = clients;
    const { epoch } = await gone.call("topic.subscribe", { topic: "chat.back" });
    for (let n = 1; n <= 3; n++) await writer.call("event.publish", { topic: "chat.back", type: "chat.message", data: { text: String(n) } });
    await until("three", () => gone.told("topic.message").length === 3);
    gone.socket.terminate();
    for (let n = 4; n <= 9; n++) await writer.call("event.publish", { topic: "chat.back", type: "chat.message", data: { text: String(n) } });
    for (const elsewhere of clients.slice(1)) {
        const answer = await elsewhere.call("topic.subscribe", { topic: "chat.back", since: { epoch, offset: 3 } });
        assert.deepEqual(answer, { epoch, offset: 9, recovered: true });
        await until("the rest", () => elsewhere.told("topic.message").length === 6);
        assert.deepEqual(elsewhere.told("topic.message").map((one) => one.event.data.text), ["4", "5", "6", "7", "8", "9"]);
        const other = await elsewhere.call("topic.unsubscribe", { topic: "chat.back" });
        assert.deepEqual(other, {});
        assert.equal((await elsewhere.call("topic.subscribe", { topic: "chat.back", since: { epoch: epoch + 1, offset: 3 } })).recovered, false);
    }
    for (const client of clients) client.socket.close();
});

test("a publish with its key is done once, also while the first is under way", async () => {
    const clients = await everywhere("key");
    for (const client of clients) {
        const params = { topic: "chat.key", type: "chat.message", data: { text: client.name }, key: "k-1" };
        const answers = await Promise.all([1, 2, 3].map(() => client.call("event.publish", params)));
        answers.push(await client.call("event.publish", params));
        for (const answer of answers) assert.deepEqual(answer, answers[0]);
    }
    const position = await clients[0].call("topic.subscribe", { topic: "chat.key" });
    assert.equal(position.offset, NODES);
    for (const client of clients) client.socket.close();
});

test("an operator's subscription reaches a connection whose topic another node counts", async () => {
    const clients = await everywhere("rest");
    const headers = { "Content-Type": "application/json" };
    const rows = async () => {
        const { connections } = await (await fetch(`${crew.base}/ws/connections?limit=100&status=active`)).json();
        return clients.map((client) => connections.find((one) => one.user.id === client.name));
    };
    for (const row of await rows()) {
        assert.ok(row);
        const answer = await fetch(`${crew.base}/connections/${row.id}/subscribe`, { method: "POST", headers, body: JSON.stringify({ topics: ["chat.rest"] }) });
        assert.equal(answer.status, 200, await answer.text());
    }
    await until("all to be subscribed", async () => (await rows()).every((row) => row.topics.includes("chat.rest")));
    await clients[0].call("event.publish", { topic: "chat.rest", type: "chat.message", data: { text: "all of you" } });
    for (const client of clients) {
        await until("the message", () => client.told("topic.message").some((one) => one.topic === "chat.rest"));
        client.socket.close();
    }
});

test("who is on another node is here: the notification service is not told", async () => {
    const clients = await everywhere("here");
    const [asker, other] = clients;
    await until("the registry", async () => (await asker.call("registry.find", { players: [other.name] })).players[0].nodes.length === 1);
    const { group } = await asker.call("group.create", {});
    await asker.call("group.invite", { group, player: other.name });
    await asker.call("group.invite", { group, player: "nobody-is-here" });
    await until("the absent one", () => notified.some((one) => one.player === "nobody-is-here"));
    assert.deepEqual(notified.filter((one) => one.player === other.name), []);
    for (const client of clients) client.socket.close();
});
