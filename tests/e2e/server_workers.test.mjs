// server_workers - several workers of one process are nodes, and a client may come back to any of them. Aim: its session goes with
// it, once: subscriptions, what it missed, presence, publish keys; a second login takes over wherever the first one is; who is
// not resumed hears why. Method: the system spreads connections over workers; a client says on which it is, and comes again
// until it is on another one.
import assert from "node:assert/strict";
import nodeTest, { after, before } from "node:test";
import { open } from "./rpc_client.mjs";
import { count, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const NODES = 3;
let crew;

async function nodeOf(client) {
    return (await client.call("registry.nodes")).node;
}

async function join(name, at = crew) {
    const client = await open(`player=${name}&role=service`, { at });
    client.name = name;
    client.hello = await client.call("session.hello", {});
    client.node = await nodeOf(client);
    return client;
}

const resumeOf = (client) => ({ session: client.hello.session, ticket: client.hello.ticket });

// Comes back with its session until that is on another worker than before.
async function moveOn(client, positions = {}, terminates = true) {
    const from = client.node;
    for (let i = 0; i < 200; i++) {
        if (terminates) client.socket.terminate();
        const next = await open(`player=${client.name}&role=service`, { at: crew });
        next.name = client.name;
        next.hello = await next.call("session.hello", { resume: resumeOf(client), positions });
        assert.equal(next.hello.resumed, true, JSON.stringify(next.hello));
        assert.equal(next.hello.session, client.hello.session);
        next.node = await nodeOf(next);
        if (next.node !== from) return next;
        client = next;
    }
    throw new Error("always the same worker");
}

// One more client of this name, on another worker than node.
async function elsewhere(name, node, at = crew) {
    for (let i = 0; i < 200; i++) {
        const client = await join(`${name}${i}`, at);
        if (client.node !== node) return client;
        client.socket.close();
    }
    throw new Error("always the same worker");
}

const publish = (client, topic, text, more = {}) =>
    client.call("event.publish", { topic, type: "chat.message", data: { text }, ...more });

before(async () => {
    crew = await start(["--workers", String(NODES), "--bots", "0", "--resume-window-ms", "20000"]);
    const first = await join("first");
    await until("all nodes", async () => (await first.call("registry.nodes")).nodes.length === NODES);
    first.socket.close();
});

after(async () => crew?.stop());

test("a session goes to the worker where its client is: topics, what it missed, presence, keys", async () => {
    const reader = await join("reader");
    const writer = await elsewhere("writer", reader.node);
    const topics = ["chat.a", "chat.b", "chat.c", "chat.d", "game.e", "zone.3", "system"];
    for (const topic of topics) await reader.call("topic.subscribe", { topic });
    await reader.call("presence.set", { status: "busy", zone: 7, location: "the mill" });
    await reader.call("presence.watch", { players: [writer.name] });
    const once = await publish(reader, "chat.once", "once", { key: "k-1" });
    for (const topic of topics) for (const text of ["1", "2"]) await publish(writer, topic, text);
    await until("what came before", () => reader.told("topic.message").length === topics.length * 2);
    const has = {};
    for (const { topic, epoch, offset } of reader.told("topic.message")) if (offset === 1) has[topic] = { epoch, offset }; // of two, it kept one
    reader.socket.terminate();
    for (const topic of topics) for (const text of ["3", "4"]) await publish(writer, topic, text);
    const again = await moveOn(reader, has);
    assert.notEqual(again.node, reader.node);
    assert.deepEqual(Object.keys(again.hello.topics).sort(), [...topics].sort());
    for (const topic of topics) assert.equal(again.hello.topics[topic].recovered, true, topic);
    await until("what it missed", () => again.told("topic.message").length >= topics.length * 3);
    for (const topic of topics) await publish(writer, topic, "5");
    await until("what comes", () => again.told("topic.message").length === topics.length * 4);
    for (const topic of topics) {
        const texts = again.told("topic.message").filter((one) => one.topic === topic).map((one) => one.event.data.text);
        assert.deepEqual(texts, ["2", "3", "4", "5"], topic);
    }
    assert.equal(again.told("topic.gap").length, 0);
    assert.deepEqual(await publish(again, "chat.once", "once", { key: "k-1" }), once);
    const [seen] = (await writer.call("presence.get", { players: ["reader"] })).players;
    assert.deepEqual([seen.status, seen.zone, seen.location], ["busy", 7, "the mill"]);
    await writer.call("presence.set", { status: "away" });
    await until("the watched one", () => again.told("presence.changed").flatMap((one) => one.players)
        .some((player) => player.player === writer.name && player.status === "away"));
    await until("one place", async () => (await writer.call("registry.find", { players: ["reader"] })).players[0].nodes.join() === again.node);
    for (const client of [again, writer]) client.socket.close();
});

test("whoever watches sees nothing of it", async () => {
    const mover = await join("mover");
    const watcher = await elsewhere("watcher", mover.node);
    await mover.call("presence.set", { status: "in-game" });
    await watcher.call("presence.watch", { players: ["mover"] });
    await until("to see it", () => watcher.told("presence.changed").flatMap((one) => one.players).some((one) => one.status === "in-game"));
    watcher.notifications.length = 0;
    const again = await moveOn(await moveOn(mover));
    await again.call("presence.set", { status: "away" });
    await until("the next change", () => watcher.told("presence.changed").length);
    assert.deepEqual(new Set(watcher.told("presence.changed").flatMap((one) => one.players).map((one) => one.status)), new Set(["away"]));
    for (const client of [again, watcher]) client.socket.close();
});

test("a connection whose loss nobody noticed is closed when its session goes", async () => {
    const first = await join("twice");
    await first.call("topic.subscribe", { topic: "chat.twice" });
    const again = await moveOn(first, {}, false);
    assert.equal((await first.closed).code, 4001);
    await publish(again, "chat.twice", "here");
    await until("the message", () => again.told("topic.message").length === 1);
    again.socket.close();
});

test("a session is given once, however many claim it at a time", async () => {
    for (let round = 0; round < 10; round++) {
        const first = await join(`many${round}`);
        first.socket.terminate();
        await first.closed;
        const claimants = await Promise.all(Array.from({ length: 12 }, () => open(`player=${first.name}&role=service`, { at: crew })));
        const hellos = await Promise.all(claimants.map((one) => one.ask("session.hello", { resume: resumeOf(first) })));
        assert.equal(hellos.filter((one) => one.result?.resumed).length, 1, JSON.stringify(hellos));
        for (const one of hellos) if (!one.result.resumed) assert.equal(one.result.reason, "unknown");
        await until("one of them to stay", () => claimants.filter((one) => one.socket.readyState === 1).length === 1);
        for (const one of claimants) one.socket.terminate();
    }
});

test("who is not resumed hears why, and begins anew", async () => {
    const first = await join("alone");
    const resume = resumeOf(first);
    first.socket.terminate();
    await first.closed;
    const flip = (text, at) => text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);
    for (const [wrong, reason] of [[{ ...resume, ticket: flip(resume.ticket, 40) }, "unknown"], [{ ...resume, ticket: flip(resume.ticket, 3) }, "node-gone"],
                                   [{ ...resume, session: flip(resume.session, 3) }, "unknown"], [{ session: "x", ticket: "y" }, "unknown"],
                                   [{ ...resume, ticket: "z".repeat(48) }, "unknown"]]) {
        for (let i = 0; i < 6; i++) { // on several workers
            const other = await open("player=stranger&role=service", { at: crew });
            const hello = await other.call("session.hello", { resume: wrong });
            assert.deepEqual([hello.resumed, hello.reason], [false, reason]);
            assert.equal((await other.fails(-32007, "session.hello", { resume: wrong })).message, "the session has begun already");
            other.socket.close();
        }
    }
    const stranger = await open("player=stranger2&role=service", { at: crew }); // another's, with the right ticket
    assert.equal((await stranger.call("session.hello", { resume })).reason, "unknown");
    stranger.socket.close();
    const back = await moveOn(first);
    back.socket.close();
    assert.equal((await join("plain")).hello.reason, undefined);
});

test("a second login takes over, wherever the first one is", async () => {
    for (let round = 0; round < 8; round++) {
        const first = await join("owner");
        const second = await join("owner");
        assert.equal((await first.closed).code, 4001);
        assert.equal(first.told("session.replaced").length, 1);
        second.socket.terminate(); // and who waits for its client ends by the next one
        await second.closed;
        const third = await join("owner");
        await until("one place", async () => (await third.call("registry.find", { players: ["owner"] })).players[0].nodes.join() === third.node);
        const late = await open("player=owner&role=service", { at: crew });
        assert.equal((await late.call("session.hello", { resume: resumeOf(second) })).resumed, false);
        assert.equal((await third.closed).code, 4001);
        late.socket.close();
        await late.closed;
    }
});

test("of many logins at one moment one stays", async () => {
    for (let round = 0; round < 10; round++) {
        const clients = await Promise.all(Array.from({ length: 9 }, () => open("player=crowd&role=service", { at: crew })));
        await Promise.all(clients.map((one) => one.ask("session.hello", {})));
        await until("one to stay", () => clients.filter((one) => one.socket.readyState === 1).length === 1);
        const [left] = clients.filter((one) => one.socket.readyState === 1);
        assert.equal((await left.call("presence.get", { players: ["crowd"] })).players.length, 1);
        left.socket.close();
        await left.closed;
    }
});

test("where a second login is refused it is, also from another worker", async () => {
    const strict = await start(["--workers", "2", "--bots", "0", "--take-over", "refuse", "--resume-window-ms", "20000"]);
    try {
        const first = await join("keeper", strict);
        await until("both nodes", async () => (await first.call("registry.nodes")).nodes.length === 2);
        for (let i = 0; i < 12; i++) {
            const second = await open("player=keeper&role=service", { at: strict });
            await second.fails(-32007, "session.hello", {});
            second.socket.close();
        }
        assert.equal(first.socket.readyState, 1);
        first.socket.close();
        await first.closed;
        for (let round = 0; round < 6; round++) {
            const clients = await Promise.all(Array.from({ length: 6 }, () => open("player=crowd&role=service", { at: strict })));
            const answers = await Promise.all(clients.map((one) => one.ask("session.hello", {})));
            await until("one to stay", () => clients.filter((one, i) => answers[i].result && one.socket.readyState === 1).length === 1);
            for (const one of clients) one.socket.close();
            await Promise.all(clients.map((one) => one.closed));
        }
    } finally {
        await strict.stop();
    }
});

test("many come back elsewhere at a time, and nobody loses anything", async () => {
    const clients = await Promise.all(Array.from({ length: 120 }, (_, i) => join(`herd${i}`)));
    const writer = await join("herdsman");
    const [{ epoch, offset }] = await Promise.all(clients.map((one) => one.call("topic.subscribe", { topic: "chat.herd" })));
    const positions = { "chat.herd": { epoch, offset } }; // what a server believes to have sent may have been lost with the connection
    await Promise.all(clients.map((one, i) => one.call("topic.subscribe", { topic: `game.herd${i}` })));
    for (const one of clients) one.socket.terminate();
    for (let i = 0; i < 5; i++) await publish(writer, "chat.herd", String(i));
    let moved = 0;
    const back = await Promise.all(clients.map(async (one) => {
        const next = await open(`player=${one.name}&role=service`, { at: crew });
        next.hello = await next.call("session.hello", { resume: resumeOf(one), positions });
        assert.equal(next.hello.resumed, true);
        assert.equal(Object.values(next.hello.topics).filter((topic) => topic.recovered).length, 2);
        const node = await nodeOf(next);
        moved += node !== one.node;
        return next;
    }));
    assert.ok(moved >= 30, `${moved} moved`);
    await publish(writer, "chat.herd", "5");
    for (const one of back) {
        await until("all", () => one.told("topic.message").length === 6);
        assert.deepEqual(one.told("topic.message").map((message) => message.event.data.text), ["0", "1", "2", "3", "4", "5"]);
        one.socket.close();
    }
    writer.socket.close();
});

// ---- groups ----

// One player on each worker.
async function everywhere(prefix) {
    const clients = new Map();
    for (let i = 0; i < 300 && clients.size < NODES; i++) {
        const client = await join(`${prefix}${i}`);
        if (clients.has(client.node)) client.socket.close();
        else clients.set(client.node, client);
    }
    assert.equal(clients.size, NODES);
    const players = [];
    for (const one of clients.values()) { // services may do anything to groups: players are wanted, on the same workers
        for (;;) {
            const player = await open(`player=${one.name}-p`, { at: crew });
            player.name = `${one.name}-p`;
            player.hello = await player.call("session.hello", {});
            const found = await until("the registry", async () => (await one.call("registry.find", { players: [player.name] })).players[0].nodes[0]);
            if (found === one.node) {
                players.push(Object.assign(player, { node: one.node }));
                break;
            }
            player.socket.close();
            await player.closed;
            await until("it to be gone", async () => (await one.call("registry.find", { players: [player.name] })).players[0].nodes.length === 0);
        }
    }
    return { services: [...clients.values()], players };
}

const close = async (...clients) => {
    for (const one of clients) one.socket.close();
    await Promise.all(clients.map((one) => one.closed));
};
const members = async (client, group) => (await client.call("group.list")).groups.find((one) => one.group === group)?.members;

test("a group is the same on every worker: members, leader, what happened, its topic", async () => {
    const { services, players } = await everywhere("g");
    for (const leader of players) { // made on each of them once: one is the node that changes groups, two are not
        const others = players.filter((one) => one !== leader);
        for (const one of players) one.notifications.length = 0;
        const { group } = await leader.call("group.create", { size: 3 });
        await others[0].fails(-32002, "group.join", { group });
        await others[0].fails(-32003, "group.invite", { group, player: "x" });
        for (const one of others) {
            await leader.call("group.invite", { group, player: one.name });
            await until("the invitation", () => one.told("group.changed").some((told) => told.what === "invited" && told.group.group === group));
            const joined = await one.call("group.join", { group });
            assert.ok(joined.members.includes(one.name));
            assert.ok((await members(one, group)).includes(one.name)); // at once, where it is
            await one.call("topic.subscribe", { topic: `group.${group}` });
        }
        await until("all to see all", async () => (await Promise.all(players.map((one) => members(one, group))))
            .every((list) => list?.join() === [leader, ...others].map((one) => one.name).join()));
        await publish(leader, `group.${group}`, "to all of us");
        for (const one of others) await until("the message", () => one.told("topic.message").some((message) => message.topic === `group.${group}`));
        await others[0].fails(-32002, "group.leader", { group, player: others[1].name });
        await leader.call("group.leader", { group, player: others[1].name });
        await until("the new leader", () => others.every((one) => one.told("group.changed").some((told) => told.what === "leader" && told.group.leader === others[1].name)));
        await others[1].call("group.leave", { group, player: others[0].name }); // it sends one away,
        await until("it to hear of it", () => others[0].told("group.changed").some((told) => told.what === "left" && told.player === others[0].name));
        await others[0].fails(-32002, "topic.subscribe", { topic: `group.${group}` });
        others[0].notifications.length = 0; // and what is said there is no longer its business
        await publish(others[1], `group.${group}`, "without it");
        await leader.call("group.leave", { group });
        await others[1].call("group.leave", { group });
        await until("its end", async () => (await Promise.all(players.map((one) => members(one, group)))).every((list) => list === undefined));
        await leader.fails(-32003, "group.join", { group });
        assert.deepEqual(others[0].told("topic.message"), []);
    }
    await close(...players, ...services);
});

test("places of a group are given once, from wherever players come", async () => {
    const first = await join("captain");
    const { group } = await first.call("group.create", { size: 10, open: true });
    const crowd = await Promise.all(Array.from({ length: 24 }, (_, i) => join(`sailor${i}`)));
    const answers = await Promise.all(crowd.map((one) => one.ask("group.join", { group })));
    assert.equal(answers.filter((one) => one.result).length, 9);
    assert.ok(answers.every((one) => one.result || one.error.code === -32004), JSON.stringify(answers));
    const inside = crowd.filter((_, i) => answers[i].result);
    for (const one of inside) await until("the same list", async () => (await members(one, group))?.length === 10);
    const lists = await Promise.all(inside.map((one) => members(one, group)));
    for (const list of lists) assert.deepEqual(list, lists[0]);
    await close(first, ...crowd);
});

test("who leaves for good leaves its groups; who goes to another worker stays in them", async () => {
    const first = await join("anchor");
    const { group } = await first.call("group.create", { size: 5, open: true });
    const second = await elsewhere("rover", first.node);
    await second.call("group.join", { group });
    await second.call("topic.subscribe", { topic: `group.${group}` });
    first.notifications.length = 0;
    const again = await moveOn(await moveOn(second));
    assert.ok((await members(again, group)).includes(again.name));
    await publish(first, `group.${group}`, "still here?");
    await until("the message", () => again.told("topic.message").some((message) => message.event.data.text === "still here?"));
    assert.deepEqual(first.told("group.changed"), []);
    await again.call("session.close");
    await until("it to leave", () => first.told("group.changed").some((told) => told.what === "left" && told.player === again.name));
    assert.deepEqual(await members(first, group), ["anchor"]);
    await close(first);
});

test("a match is placed over workers", async () => {
    const { services, players } = await everywhere("m");
    for (const maker of services) {
        for (const one of players) {
            one.notifications.length = 0;
            await one.ask("topic.subscribe", { topic: `player.${one.name}` });
        }
        const { group } = await maker.call("match.place", { players: players.map((one) => one.name), queue: "duel" });
        for (const one of players) {
            await until("the match", () => one.told("topic.message").some((message) => message.event.type === "game.match_found" && message.event.data.group === group));
            await until("its group", async () => (await members(one, group))?.length === NODES);
        }
    }
    await close(...players, ...services);
});
