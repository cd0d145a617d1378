// server_voice - voice channels over REST and JSON-RPC, signals of WebRTC between two users, the seed's own JavaScript, who hears whom
// over necpnet.v1 by joining, TURN credentials that Debian's coturn takes. Every answer is held against openapi.yaml.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import dgram from "node:dgram";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import WebSocket from "ws";
import { checked } from "./api_description.mjs";
import { hs256, make, now } from "./jwt.mjs";
import { BUILD, count, scratch, sleep, start, until } from "./server_process.mjs";
import { SEED } from "./voice_seed.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const TURN_SECRET = "shared with coturn alone";
const PRODUCTION = ["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--rate-write", "0", "--rate-read", "0", "--rate-token", "0",
                    "--rate-admin", "0", "--voice", "channels", "--bots", "0"];
const token = (sub, role = "player") => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600, name: sub.slice(0, 20) }, hs256(SECRET));
const SDP = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" +
    "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlAl\r\n" +
    `a=fingerprint:sha-256 ${Array(32).fill("AB").join(":")}\r\na=setup:actpass\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n`;
const CANDIDATE = "candidate:1467250027 1 udp 2122260223 192.168.0.196 46243 typ host generation 0 ufrag 4ZcD network-id 1";
let server;
let guild; // a guild service
let folder;

const guilds = { gina: [{ id: "g1", rights: ["chat", "voice", "voice_manage"] }], gus: [{ id: "g1", rights: ["chat"] }], gail: [{ id: "g1", rights: ["voice"] }] };

before(async () => {
    folder = scratch();
    guild = http.createServer((request, response) => {
        const sub = decodeURIComponent(request.url.split("/")[2]);
        response.end(JSON.stringify({ guilds: guilds[sub] ?? [] }));
    });
    await new Promise((resolve) => guild.listen(0, "127.0.0.1", resolve));
    server = await start([...PRODUCTION, "--partner-guild-url", `http://127.0.0.1:${guild.address().port}`, "--store", `sqlite:${folder}/voice.db`],
                         { JWT_SECRET: SECRET, STUN_SERVER: "stun:stun.example.com:19302", TURN_SERVER: "turn:127.0.0.1:3478?transport=udp", TURN_SECRET });
});
after(async () => {
    await server?.stop();
    guild?.close();
    rmSync(folder, { recursive: true, force: true });
});

// as - a caller: get, post, put, del give the checked answer.
function as(sub, role = "player", at = () => server) {
    const headers = { Authorization: `Bearer ${token(sub, role)}` };
    const ask = (method) => (target, body) => checked(at().base, method, target, body === undefined ? { headers }
        : { headers: { ...headers, "Content-Type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body) });
    return { sub, get: ask("GET"), post: ask("POST"), put: ask("PUT"), del: ask("DELETE") };
}
const service = as("matchmaker", "service");
const CHANNELS = "/api/v1/voice-channels";

async function channel(owner, body = {}) {
    const reply = await owner.post(CHANNELS, { name: "Raid", type: "party", ...body });
    assert.equal(reply.status, 201, reply.text);
    return reply.json;
}

// rpc - a JSON-RPC client of a user.
async function rpc(sub, role = "player", at = server) {
    const socket = new WebSocket(`ws://127.0.0.1:${at.port}/ws?access_token=${token(sub, role)}`, "jsonrpc2.necpnet");
    const told = [];
    const waiting = new Map();
    let last = 0;
    socket.on("message", (data) => {
        const message = JSON.parse(data);
        if (message.method) told.push(message);
        else waiting.get(message.id)?.(message);
    });
    await new Promise((resolve, reject) => { socket.on("open", resolve); socket.on("error", reject); });
    const ask = (method, params = {}) => new Promise((resolve) => {
        waiting.set(++last, resolve);
        socket.send(JSON.stringify({ jsonrpc: "2.0", id: last, method, params }));
    });
    const call = async (method, params) => {
        const answer = await ask(method, params);
        assert.equal(answer.error, undefined, JSON.stringify(answer));
        return answer.result;
    };
    await call("session.hello", {});
    return { socket, told, ask, call, close: () => socket.close(1000),
             signals: () => told.filter((one) => one.method === "voice.signal").map((one) => one.params),
             events: (type) => told.filter((one) => one.method === "topic.message" && one.params.event.type === type).map((one) => one.params.event.data) };
}

test("a channel is made, seen, changed, listed and deleted by those who may", async () => {
    const ann = as("ann"), bob = as("bob");
    const made = await channel(ann, { type: "private", max_users: 12 });
    assert.match(made.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual([made.name, made.type, made.owner_id, made.max_users, made.current_users, made.is_active], ["Raid", "private", "ann", 12, 0, true]);
    assert.equal((await ann.get(`${CHANNELS}/${made.id}`)).status, 200);
    assert.equal((await bob.get(`${CHANNELS}/${made.id}`)).status, 403);
    assert.equal((await bob.put(`${CHANNELS}/${made.id}`, { name: "mine" })).status, 403);
    assert.equal((await bob.del(`${CHANNELS}/${made.id}`)).status, 403);
    assert.equal((await ann.put(`${CHANNELS}/${made.id}`, { name: "Raid 2", max_users: 3 })).json.name, "Raid 2");
    assert.equal((await ann.post(CHANNELS, { name: "all", type: "global" })).status, 403);
    assert.equal((await ann.post(CHANNELS, { name: "x", type: "party", id: "channel-1" })).status, 403);
    const all = (await service.post(CHANNELS, { name: "all", type: "global", id: "global-1" })).json;
    assert.equal((await service.post(CHANNELS, { name: "all", type: "global", id: "global-1" })).status, 409);
    assert.equal((await service.post(CHANNELS, { name: "all", type: "global", id: "a.b" })).status, 400);
    await ann.put(`${CHANNELS}/${made.id}`, { is_active: false });
    const ids = async (who, query) => (await who.get(`${CHANNELS}?${query}`)).json.channels.map((one) => one.id);
    assert.deepEqual(await ids(bob, "type=global&status=active"), [all.id]);
    assert.deepEqual(await ids(bob, "type=private"), []);
    assert.deepEqual(await ids(ann, "type=private&status=inactive"), [made.id]);
    assert.deepEqual(await ids(ann, "status=active"), [all.id]);
    assert.ok((await ids(service, "")).includes(made.id));
    const page = (await service.get(`${CHANNELS}?limit=1`)).json;
    assert.equal(page.channels.length, 1);
    assert.notEqual((await service.get(`${CHANNELS}?limit=1&cursor=${page.next_cursor}`)).json.channels[0].id, page.channels[0].id);
    assert.equal((await ann.post(`${CHANNELS}/${made.id}/join`, {})).status, 409, "not active");
    assert.equal((await ann.del(`${CHANNELS}/${made.id}`)).status, 204);
    assert.equal((await ann.get(`${CHANNELS}/${made.id}`)).status, 404);
    assert.equal((await service.del(`${CHANNELS}/${all.id}`)).status, 204);
});

test("members come by invitation, have roles, and are sent away", async () => {
    const ann = as("ann"), bob = as("bob"), eve = as("eve");
    const at = `${CHANNELS}/${(await channel(ann, { type: "private" })).id}`;
    assert.equal((await bob.post(`${at}/join`, { user_id: "bob" })).status, 403);
    assert.equal((await ann.post(`${at}/invitations`, { user_id: "bob" })).status, 201);
    assert.equal((await ann.post(`${at}/invitations`, { user_id: "bob" })).status, 200, "again");
    assert.equal((await bob.post(`${at}/join`, { user_id: "eve" })).status, 403, "for somebody else");
    const joined = (await bob.post(`${at}/join`, { user_id: "bob" })).json;
    assert.deepEqual([joined.participant.user_id, joined.participant.role, joined.channel.current_users], ["bob", "member", 1]);
    assert.equal((await bob.post(`${at}/join`)).json.participant.id, joined.participant.id, "again is the same");
    assert.equal((await ann.post(`${at}/join`, {})).json.participant.role, "owner");
    assert.equal((await bob.post(`${at}/invitations`, { user_id: "eve" })).status, 403);
    assert.equal((await ann.put(`${at}/participants/bob`, { role: "moderator" })).json.role, "moderator");
    assert.equal((await bob.post(`${at}/invitations`, { user_id: "eve" })).status, 201);
    await eve.post(`${at}/join`, {});
    assert.equal((await bob.put(`${at}/participants/eve`, { is_muted: true })).json.is_muted, true);
    assert.equal((await eve.put(`${at}/participants/eve`, { is_muted: false })).status, 403, "a moderator muted her");
    assert.equal((await eve.put(`${at}/participants/eve`, { is_deafened: true })).json.is_deafened, true);
    assert.equal((await eve.put(`${at}/participants/eve`, { role: "owner" })).status, 403);
    assert.equal((await eve.del(`${at}/participants/bob`)).status, 403);
    assert.equal((await bob.del(`${at}/participants/ann`)).status, 403, "not the owner");
    assert.equal((await bob.del(`${at}/participants/eve`)).status, 204);
    assert.equal((await eve.post(`${at}/join`, {})).status, 403, "her invitation ended with it");
    assert.equal((await ann.put(`${at}/participants/bob`, { role: "owner" })).json.role, "owner");
    assert.deepEqual((await bob.get(`${at}/participants`)).json.participants.map((one) => [one.user_id, one.role]), [["bob", "owner"], ["ann", "member"]]);
    assert.equal((await bob.get(at)).json.owner_id, "bob");
    assert.equal((await ann.post(`${at}/leave`, {})).status, 204);
    assert.equal((await ann.post(`${at}/leave`, {})).status, 204, "again changes nothing");
    assert.equal((await bob.get(at)).json.current_users, 1);
    await bob.del(at);
});

test("a guild's service says who may make, hear and speak in its channels", async () => {
    const [gina, gus, gail, ann] = ["gina", "gus", "gail", "ann"].map((sub) => as(sub));
    assert.equal((await gus.post(CHANNELS, { name: "hall", type: "guild", guild_id: "g1" })).status, 403);
    assert.equal((await gina.post(CHANNELS, { name: "hall", type: "guild" })).status, 400);
    assert.equal((await gina.post(CHANNELS, { name: "hall", type: "party", guild_id: "g1" })).status, 400);
    const at = `${CHANNELS}/${(await channel(gina, { type: "guild", guild_id: "g1" })).id}`;
    assert.equal((await ann.get(at)).status, 403);
    assert.equal((await ann.post(`${at}/join`, {})).status, 403);
    assert.equal((await gus.post(`${at}/join`, {})).json.participant.is_muted, true, "has no right voice");
    assert.equal((await gail.post(`${at}/join`, {})).json.participant.is_muted, false);
    assert.equal((await gus.get(`${CHANNELS}?type=guild`)).json.channels.length, 1);
    assert.equal((await ann.get(`${CHANNELS}?guild_id=g1`)).json.channels.length, 0);
    assert.equal((await gina.del(at)).status, 204);
});

test("a hundred at once: the channel holds as many as it should, and counts right", async () => {
    const at = `${CHANNELS}/${(await channel(service, { type: "global", max_users: 60 })).id}`;
    const users = Array.from({ length: 100 }, (_, i) => as(`crowd-${i}`));
    const replies = await Promise.all(users.map((one) => one.post(`${at}/join`, {})));
    const inside = replies.filter((one) => one.status === 200);
    assert.equal(inside.length, 60);
    for (const one of replies.filter((reply) => reply.status !== 200)) assert.deepEqual([one.status, one.json.details.reason], [409, "full"]);
    assert.equal((await service.get(at)).json.current_users, 60);
    assert.equal((await service.get(`${at}/participants`)).json.participants.length, 60);
    const went = users.filter((_, i) => replies[i].status === 200).slice(0, 30);
    const came = users.filter((_, i) => replies[i].status !== 200);
    await Promise.all([...went.map((one) => one.post(`${at}/leave`, {})), ...came.map((one) => one.post(`${at}/join`, {}))]);
    const left = (await service.get(at)).json.current_users;
    assert.equal((await service.get(`${at}/participants`)).json.participants.length, left);
    // the seed's tables, as any reader of the file sees them
    const rows = (sql) => spawnSync("python3", ["-c", `import sqlite3, json\nprint(json.dumps(sqlite3.connect("${folder}/voice.db").execute(${JSON.stringify(sql)}).fetchall()))`], { encoding: "utf8" });
    const [[current, members, type]] = JSON.parse(rows("select current_users, (select count(*) from voice_participants p where p.channel_id = c.id), type from voice_channels c where name = 'Raid' and max_users = 60").stdout);
    assert.deepEqual([current, members, type], [left, left, "global"]);
    await service.del(at);
    assert.equal(JSON.parse(rows("select count(*) from voice_participants where user_id like 'crowd-%'").stdout)[0][0], 0);
});

test("a thousand joins by one user change nothing, and the rest is served", async () => {
    const limited = await start([...PRODUCTION.map((one, i) => (PRODUCTION[i - 1] === "--rate-write" ? "10" : one))], { JWT_SECRET: SECRET });
    try {
        const here = () => limited;
        const at = `${CHANNELS}/${(await as("matchmaker", "service", here).post(CHANNELS, { name: "x", type: "global" })).json.id}`;
        const flood = as("flood", "player", here);
        const replies = [];
        const bare = { method: "POST", headers: { Authorization: `Bearer ${token("flood")}`, "Content-Type": "application/json" }, body: "{}" };
        replies.push(await flood.post(`${at}/join`, {}));
        for (let i = 0; i < 20; i++) replies.push(...await Promise.all(Array.from({ length: 50 }, () => fetch(`${limited.base}${at}/join`, bare))));
        assert.ok(replies.every((one) => one.status === 200 || one.status === 429), [...new Set(replies.map((one) => one.status))].join());
        assert.ok(replies.filter((one) => one.status === 429).length > 100);
        assert.equal((await as("boss", "admin", here).get(at)).json.current_users, 1);
    } finally {
        await limited.stop();
    }
});

test("who comes and goes over and over is stopped, and those in the channel hear little of it", async () => {
    const { id } = await channel(as("calm"));
    const calm = await rpc("calm");
    await calm.call("voice.join", { channel_id: id });
    await calm.call("topic.subscribe", { topic: `voice.${id}` });
    const restless = await rpc("restless");
    const answers = await Promise.all(Array.from({ length: 500 }, () => [restless.ask("voice.join", { channel_id: id }), restless.ask("voice.leave", { channel_id: id })]).flat());
    const refused = answers.filter((one) => one.error?.code === -32005);
    assert.ok(refused.length > 800 && refused.every((one) => one.error.data.retry_after_ms > 0), `${refused.length} of ${answers.length}`);
    assert.deepEqual((await calm.call("voice.channels")).channels.length, 1);
    assert.ok(calm.events("voice.joined").length < 100);
    calm.close();
    restless.close();
});

test("signals reach the one they are for, as they were sent, and nobody else", async () => {
    const [ann, bob] = [as("sig-ann"), as("sig-bob")];
    const { id } = await channel(ann);
    const at = `${CHANNELS}/${id}`;
    const [a, b, c] = await Promise.all(["sig-ann", "sig-bob", "sig-eve"].map((sub) => rpc(sub)));
    await ann.post(`${at}/join`, {});
    await b.call("voice.join", { channel_id: id });
    assert.equal((await b.ask("topic.subscribe", { topic: `voice.${id}` })).error, undefined);
    assert.equal((await c.ask("topic.subscribe", { topic: `voice.${id}` })).error.code, -32002);
    await c.call("voice.join", { channel_id: id });
    const offer = { type: "offer", session_id: "s-1", from_user_id: "sig-ann", to_user_id: "sig-bob", channel_id: id, offer: { type: "offer", sdp: SDP } };
    assert.deepEqual((await ann.post(`${at}/signal`, offer)).json, { delivered: true, session_id: "s-1" });
    await until("the offer", () => b.signals().length === 1);
    assert.deepEqual(b.signals()[0], offer);
    const answer = { type: "answer", session_id: "s-1", from_user_id: "sig-bob", to_user_id: "sig-ann", channel_id: id, answer: { type: "answer", sdp: SDP.replace("actpass", "active") } };
    assert.deepEqual(await b.call("voice.signal", answer), { delivered: true, session_id: "s-1" });
    const candidate = { type: "candidate", session_id: "s-1", from_user_id: "sig-bob", to_user_id: "sig-ann", channel_id: id,
                        candidate: { candidate: CANDIDATE, sdpMid: "0", sdpMLineIndex: 0, usernameFragment: "4ZcD" } };
    await b.call("voice.signal", candidate);
    await b.call("voice.signal", { ...candidate, candidate: { candidate: "", sdpMid: null, sdpMLineIndex: null } });
    await until("the answer and candidates", () => a.signals().length === 3);
    assert.deepEqual(a.signals().slice(0, 2), [answer, candidate]);
    assert.equal(c.signals().length, 0);
    await until("c's coming", () => b.events("voice.joined").some((one) => one.user_id === "sig-eve"));
    c.close();
    await until("c's going", () => b.events("voice.left").some((one) => one.user_id === "sig-eve" && one.reason === "disconnected"));
    // what is said is written down, each signal of it
    const heard = await until("the audit", async () => {
        const events = (await as("boss", "admin").get("/api/v1/admin/audit?limit=1000&player_id=sig-ann")).json.events;
        const signals = events.filter((one) => one.event === "voice_signals");
        return signals.length >= 2 && events.some((one) => one.event === "voice_joined") ? signals : null;
    });
    assert.match(heard.map((one) => `${one.actor}>${one.object} ${one.detail}`).join(), /sig-bob>sig-ann channel .*answer \d+ bytes,.*candidate/);
    a.close();
    b.close();
});

test("users of different workers are in one channel", async () => {
    const both = await start([...PRODUCTION, "--workers", "2"], { JWT_SECRET: SECRET });
    try {
        const here = () => both;
        const { id } = (await as("matchmaker", "service", here).post(CHANNELS, { name: "x", type: "global" })).json;
        const names = Array.from({ length: 16 }, (_, i) => `w-${i}`);
        const users = await Promise.all(names.map((name) => rpc(name, "player", both)));
        const listed = (await as("boss", "admin", here).get("/ws/connections?limit=100")).json.connections;
        assert.equal(new Set(listed.map((one) => one.id.split(".")[0])).size, 2, "they are spread over both");
        for (const user of users) await user.call("voice.join", { channel_id: id });
        await Promise.all(users.flatMap((user, i) => names.filter((_, k) => k !== i).map((to) =>
            user.call("voice.signal", { type: "offer", session_id: `${i}`, from_user_id: names[i], to_user_id: to, channel_id: id, offer: { type: "offer", sdp: SDP } }))));
        await until("every offer", () => users.every((user) => user.signals().length === 15));
        users.forEach((user, i) => assert.ok(user.signals().every((one) => one.to_user_id === names[i] && one.from_user_id === names[one.session_id])));
        users[0].close();
        await until("his going", async () => (await as("boss", "admin", here).get(`${CHANNELS}/${id}`)).json.current_users === 15);
        users.forEach((user) => user.close());
    } finally {
        await both.stop();
    }
});

test("signals that are wrong are refused precisely, and reach nobody", async () => {
    const [ann, bob] = [as("bad-ann"), as("bad-bob")];
    const at = `${CHANNELS}/${(await channel(ann)).id}`;
    const id = at.split("/").pop();
    const listener = await rpc("bad-bob");
    await ann.post(`${at}/join`, {});
    const good = { type: "offer", from_user_id: "bad-ann", to_user_id: "bad-bob", offer: { type: "offer", sdp: SDP } };
    const refused = async (who, change, status, like) => {
        const reply = await who.post(`${at}/signal`, { ...good, ...change });
        assert.equal(reply.status, status, `${JSON.stringify(change).slice(0, 200)}: ${reply.text.slice(0, 300)}`);
        assert.match(reply.json.message, like);
        return reply.json;
    };
    await refused(ann, {}, 404, /to_user_id is not in this channel/);
    await bob.post(`${at}/join`, {});
    await refused(bob, {}, 403, /from_user_id is not you/);
    await refused(as("bad-eve"), { from_user_id: "bad-eve" }, 403, /you are not in this channel/);
    await refused(ann, { to_user_id: "bad-ann" }, 400, /yourself/);
    await refused(ann, { channel_id: "another" }, 400, /channel_id: it is not that of the path/);
    await refused(ann, { type: "answer" }, 400, /offer: it does not belong/);
    await refused(ann, { offer: undefined }, 400, /offer: it is missing/);
    await refused(ann, { offer: { type: "answer", sdp: SDP } }, 400, /its type/);
    await refused(ann, { offer: { type: "offer", sdp: SDP, extra: 1 } }, 400, /alone/);
    for (const [sdp, like] of [["", /v=, o=, s= and t=/], ["v=0\r\n", /v=, o=, s= and t=/], [SDP.replace("v=0", "v=1"), /line 1: v= is 0/], [SDP.replace("s=-\r\n", ""), /come first/],
                               [SDP.replace("m=audio 9", "m=audio 99999"), /line 6: m=/], [SDP.replace("IN IP4 127.0.0.1", "IN IP4 127.0.0.999"), /line 2: o=/],
                               [SDP.trimEnd(), /does not end/], [SDP + "x=1\r\n", /not known/], [SDP.replace("ice-ufrag:4ZcD", "ice-ufrag:<script>"), /ice-ufrag/],
                               [SDP.replace(/fingerprint.*/, "fingerprint:sha-256 zz"), /fingerprint/], [SDP + "a=candidate:1 1 udp 0 1.2.3.4 5 typ host\r\n", /priority/],
                               [SDP.replace("s=-", "s=\u0007"), /control/], [SDP + `a=x:${"y".repeat(2100)}\r\n`, /2048/]]) {
        await refused(ann, { offer: { type: "offer", sdp } }, 400, like);
    }
    assert.equal((await refused(ann, { offer: { type: "offer", sdp: SDP + "a=x:y\r\n".repeat(2400) } }, 400, /16384/)).details.reason, "length");
    assert.equal((await ann.post(`${at}/signal`, { ...good, offer: { type: "offer", sdp: "x".repeat(30000) } })).json.details.reason, "length");
    const big = await fetch(`${server.base}${at}/signal`, { method: "POST", body: `{"offer":"${"x".repeat(70000)}"}`, headers: { "Content-Type": "application/json", Authorization: `Bearer ${token("bad-ann")}` } });
    assert.equal(big.status, 413);
    for (const [text, like] of [["candidate:", /foundation/], ["x", /begins/], [CANDIDATE.replace("udp", "u p"), /priority|transport/], [CANDIDATE.replace("46243", "70000"), /port/],
                                [CANDIDATE.replace("host", "guest"), /host, srflx/], [CANDIDATE.replace("192.168.0.196", "192.168.0.1960"), /address/],
                                [CANDIDATE + " odd", /extension/], [CANDIDATE + " raddr x_y", /raddr/], ["candidate:" + "1".repeat(600), /512/]]) {
        await refused(ann, { type: "candidate", offer: undefined, candidate: { candidate: text, sdpMid: "0" } }, 400, like);
    }
    await refused(ann, { type: "candidate", offer: undefined, candidate: { candidate: CANDIDATE } }, 400, /sdpMid or sdpMLineIndex/);
    await refused(ann, { type: "candidate", offer: undefined, candidate: { candidate: CANDIDATE, sdpMLineIndex: 70000 } }, 400, /sdpMLineIndex/);
    await refused(ann, { type: "candidate", offer: undefined, candidate: { candidate: CANDIDATE, sdpMid: "0", usernameFragment: "a b" } }, 400, /usernameFragment/);
    const stranger = await rpc("bad-eve");
    for (const [change, code] of [[{ from_user_id: "bad-ann" }, -32002], [{ from_user_id: "bad-eve" }, -32002], [{ channel_id: "nowhere" }, -32003], [{ type: "bye" }, -32602], [{ offer: { type: "offer", sdp: "x" } }, -32602]]) {
        assert.equal((await stranger.ask("voice.signal", { ...good, channel_id: id, ...change })).error.code, code, JSON.stringify(change));
    }
    await ann.post(`${at}/signal`, { ...good, session_id: "the only one" });
    await until("what is right", () => listener.signals().length > 0);
    assert.deepEqual(listener.signals().map((one) => one.session_id), ["the only one"]);
    listener.close();
    stranger.close();
});

test("the seed's JavaScript runs as it is but for its token", async () => {
    await service.post(CHANNELS, { name: "Guild party", type: "party", id: "channel-123" });
    await service.post(`${CHANNELS}/channel-123/join`, { user_id: "user-789" });
    const other = await rpc("user-789");
    const snippet = `${SEED}\nreturn [response.status, signalingResponse.status];`;
    const signed = (target, options) => fetch(server.base + target, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token("user-456")}` } });
    const AsyncFunction = (async () => {}).constructor;
    assert.deepEqual(await new AsyncFunction("fetch", "localDescription", snippet)(signed, { sdp: SDP }), [200, 200]);
    await until("the offer", () => other.signals().length === 1);
    assert.deepEqual({ ...other.signals()[0], session_id: "" }, { type: "offer", session_id: "", from_user_id: "user-456", to_user_id: "user-789", channel_id: "channel-123", offer: { type: "offer", sdp: SDP } });
    other.close();
    await service.del(`${CHANNELS}/channel-123`);
});

test("reports of quality are kept, judged, told and counted", async () => {
    const ann = as("rep-ann");
    const { id } = await channel(ann);
    await ann.post(`${CHANNELS}/${id}/join`, {});
    const socket = await rpc("rep-ann");
    await socket.call("topic.subscribe", { topic: `voice.${id}` });
    const report = (body) => ann.post(`/api/v1/voice-quality/${id}/report`, { bitrate: 24000, packet_loss: 0, jitter: 0.01, latency: 0.05, ...body });
    assert.deepEqual((await report({})).json, { quality: "excellent", recommended: { bitrate: 24000, fec: false, frame_ms: 20 } });
    assert.deepEqual((await report({ packet_loss: 0.15 })).json, { quality: "poor", recommended: { bitrate: 12000, fec: true, frame_ms: 20 } });
    assert.equal((await report({ latency: 0.3 })).json.quality, "fair");
    for (const [name, value] of [["packet_loss", 1.01], ["packet_loss", -0.1], ["jitter", 10], ["latency", "x"], ["bitrate", -1]]) {
        const reply = await report({ [name]: value });
        assert.deepEqual([reply.status, reply.json.details.field], [400, name]);
    }
    assert.equal((await as("rep-eve").post(`/api/v1/voice-quality/${id}/report`, { bitrate: 1, packet_loss: 0, jitter: 0, latency: 0 })).status, 403);
    await until("the events", () => socket.events("voice.quality").length === 3);
    const metrics = (await checked(server.base, "GET", "/metrics")).text;
    for (const name of ["webrtc_active_connections", "webrtc_signaling_messages_total", "webrtc_channel_operations_total", "webrtc_voice_quality_reports_total"]) assert.match(metrics, new RegExp(`^${name}`, "m"));
    assert.match(metrics, /^webrtc_voice_quality_reports_total\{quality="poor"\} 1$/m);
    socket.close();
});

test("audio streams are the same channels; sample rates out of range are named", async () => {
    const ann = as("str-ann"), bob = as("str-bob");
    const made = await ann.post("/audio/streams", { name: "Arena", type: "game", sample_rate: 44100 });
    assert.equal(made.status, 201);
    assert.deepEqual([made.json.type, made.json.status, made.json.sample_rate, made.json.channels, made.json.access], ["game", "active", 44100, 2, "party"]);
    for (const [name, value] of [["sample_rate", 7999], ["sample_rate", 96001], ["sample_rate", 48000.5], ["channels", 3], ["bitrate", 5999]]) {
        const reply = await ann.post("/audio/streams", { name: "x", type: "voice", [name]: value });
        assert.deepEqual([reply.status, reply.json.details.field], [400, name]);
    }
    const at = `/audio/streams/${made.json.id}`;
    assert.equal((await bob.post(`${at}/participants`, { user_id: "str-bob" })).json.participant.user_id, "str-bob");
    assert.equal((await bob.post(`${at}/participants`, { user_id: "str-ann" })).status, 403);
    assert.equal((await service.post(`${at}/participants`, { user_id: "str-eve", role: "moderator" })).json.participant.role, "moderator");
    assert.equal((await ann.get(`${at}/participants`)).json.participants.length, 2);
    assert.equal((await ann.get(`/api/v1/network${at}`)).json.participant_count, 2);
    assert.ok((await ann.get("/audio/streams?type=game&status=active")).json.streams.some((one) => one.id === made.json.id));
    assert.ok(!(await ann.get("/audio/streams?type=voice")).json.streams.some((one) => one.id === made.json.id));
    assert.equal((await ann.get(`${CHANNELS}/${made.json.id}`)).json.current_users, 2);
    assert.equal((await bob.del(at)).status, 403);
    assert.equal((await ann.del(at)).status, 204);
    assert.equal((await ann.get(at)).status, 404);
});

test("channels and members are there after a kill; who is erased is nowhere", async () => {
    const file = `sqlite:${folder}/kill.db`;
    let at = await start([...PRODUCTION, "--store", file], { JWT_SECRET: SECRET });
    const here = () => at;
    const [ann, bob, boss] = [as("k-ann", "player", here), as("k-bob", "player", here), as("boss", "admin", here)];
    const kept = (await ann.post(CHANNELS, { name: "kept", type: "private", max_users: 7 })).json;
    const own = (await bob.post(CHANNELS, { name: "bob's", type: "party" })).json;
    await ann.post(`${CHANNELS}/${kept.id}/invitations`, { user_id: "k-bob" });
    await bob.post(`${CHANNELS}/${kept.id}/join`, {});
    await ann.post(`${CHANNELS}/${kept.id}/join`, {});
    await ann.post(`${CHANNELS}/${own.id}/join`, {});
    await ann.put(`${CHANNELS}/${kept.id}/participants/k-bob`, { is_muted: true });
    await bob.post(`/api/v1/voice-quality/${kept.id}/report`, { bitrate: 24000, packet_loss: 0, jitter: 0, latency: 0 });
    at.kill("SIGKILL");
    await at.waitEnd();
    at = await start([...PRODUCTION, "--store", file], { JWT_SECRET: SECRET });
    try {
        const again = (await ann.get(`${CHANNELS}/${kept.id}`)).json;
        assert.deepEqual({ ...again, current_users: 0 }, { ...kept });
        assert.equal(again.current_users, 2);
        const members = (await ann.get(`${CHANNELS}/${kept.id}/participants`)).json.participants;
        assert.deepEqual(members.map((one) => [one.user_id, one.role, one.is_muted]).sort(), [["k-ann", "owner", false], ["k-bob", "member", true]]);
        const exported = (await boss.get("/api/v1/players/k-bob/data")).json.records.map((one) => one.collection);
        for (const name of ["voice_channels", "voice_participants", "voice_invitations", "voice_quality_reports", "audit"]) assert.ok(exported.includes(name), name);
        await sleep(1500); // what the audit still gathers
        assert.equal((await boss.del("/api/v1/players/k-bob/data")).status, 200);
        assert.deepEqual((await ann.get(`${CHANNELS}/${kept.id}/participants`)).json.participants.map((one) => one.user_id), ["k-ann"]);
        assert.equal((await ann.get(`${CHANNELS}/${own.id}`)).json.owner_id, "k-ann", "what he owned went to a member");
    } finally {
        await at.stop();
    }
    const bytes = readFileSync(file.slice(7)), where = bytes.indexOf("k-bob");
    assert.equal(where, -1, `nor in the file: ${bytes.subarray(where - 300, where + 100)}`);
});

// A native talker: says a wave file, writes what it hears.
async function talker(name, more = [], at = () => server, seconds = 12) {
    const grant = await as(name, "player", at).post("/api/v1/connect-tokens", {});
    const child = spawn(path.resolve(BUILD, "bin/necpnet"), ["talk", "--token", grant.json.token, "--seconds", `${seconds}`, ...more], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    return { child, said: () => said, ended: new Promise((resolve) => child.on("exit", resolve)) };
}

// tone - a wave file of so many seconds, 48 kHz, mono, with the swell of speech.
function tone(file, seconds) {
    const samples = Buffer.alloc(48000 * seconds * 2);
    for (let i = 0; i < 48000 * seconds; i++) {
        const swell = Math.abs(Math.sin((i / 48000) * Math.PI * 4));
        samples.writeInt16LE(Math.round(12000 * swell * Math.sin((i / 48000) * 2 * Math.PI * 440)), i * 2);
    }
    const head = Buffer.alloc(44);
    head.write("RIFF", 0); head.writeUInt32LE(36 + samples.length, 4); head.write("WAVEfmt ", 8);
    head.writeUInt32LE(16, 16); head.writeUInt16LE(1, 20); head.writeUInt16LE(1, 22); head.writeUInt32LE(48000, 24);
    head.writeUInt32LE(96000, 28); head.writeUInt16LE(2, 32); head.writeUInt16LE(16, 34); head.write("data", 36); head.writeUInt32LE(samples.length, 40);
    writeFileSync(file, Buffer.concat([head, samples]));
}
const loudness = (file) => {
    if (!existsSync(file)) return 0;
    const data = readFileSync(file).subarray(44);
    let sum = 0;
    for (let i = 0; i + 1 < data.length; i += 2) sum += data.readInt16LE(i) ** 2;
    return data.length ? Math.sqrt(sum / (data.length / 2)) : 0;
};

test("who joins by REST is heard by those in the channel over necpnet.v1, and by nobody else", async () => {
    const [ann] = [as("nat-ann")];
    const { id } = await channel(ann);
    const at = `${CHANNELS}/${id}`;
    tone(`${folder}/said.wav`, 9);
    const watcher = await rpc("nat-watch");
    await watcher.call("voice.join", { channel_id: id });
    await watcher.call("topic.subscribe", { topic: `voice.${id}` });
    const speaker = await talker("nat-ann", ["--in", `${folder}/said.wav`]);
    const listener = await talker("nat-bob", ["--out", `${folder}/heard.wav`]);
    const stranger = await talker("nat-eve", ["--out", `${folder}/nothing.wav`]);
    for (const sub of ["nat-ann", "nat-bob", "nat-eve"]) {
        await until(`the session of ${sub}`, async () => (await as(sub).get("/ws/connections?status=active")).json.connections.some((one) => one.protocol === "necpnet.v1"));
    }
    for (const sub of ["nat-ann", "nat-bob"]) assert.equal((await as(sub).post(`${at}/join`, {})).status, 200);
    await until("somebody speaking", () => watcher.events("voice.speaking").some((one) => one.user_id === "nat-ann" && one.speaking));
    await Promise.all([speaker.ended, listener.ended, stranger.ended]);
    assert.ok(loudness(`${folder}/heard.wav`) > 300, `heard: ${loudness(`${folder}/heard.wav`)} ${listener.said()}`);
    assert.equal(loudness(`${folder}/nothing.wav`), 0);
    await until("their going", () => watcher.events("voice.left").filter((one) => one.reason === "disconnected").length === 2);
    watcher.close();
});

test("players of different workers hear each other, as far as they want and may", async () => {
    const both = await start([...PRODUCTION, "--workers", "2", "--resume-window-ms", "500"], { JWT_SECRET: SECRET });
    const here = () => both;
    const children = [];
    const boss = as("boss", "admin", here);
    // packets of speech that the server sent to each player, and where he is
    const players = async () => Object.fromEntries((await boss.get("/ws/connections?limit=100")).json.connections.filter((one) => one.protocol === "necpnet.v1")
        .map((one) => [one.user.id, { worker: one.id.split(".")[0], heard: one.metrics.voice_packets_sent }]));
    const come = async (name, more) => {
        const one = await talker(name, more, here, 60);
        children.push(one.child);
        await until(`the session of ${name}`, async () => (await players())[name]);
        return one;
    };
    try {
        tone(`${folder}/long.wav`, 58);
        const ann = as("far-ann", "player", here);
        const { id } = (await ann.post(CHANNELS, { name: "Raid", type: "party" })).json;
        const at = `${CHANNELS}/${id}`;
        const speaker = await come("far-ann", ["--in", `${folder}/long.wav`]);
        await come("far-eve", ["--out", `${folder}/eve.wav`]);
        const listeners = [];
        while (new Set(listeners.map((one) => one.worker)).size < 2 || listeners.length < 4) {
            assert.ok(listeners.length < 40, "all came to one worker");
            const name = `far-${listeners.length}`;
            await come(name, ["--out", `${folder}/${name}.wav`, "--transport", listeners.length % 2 ? "udp" : "ws"]);
            listeners.push({ name, worker: (await players())[name].worker });
        }
        for (const name of ["far-ann", ...listeners.map((one) => one.name)]) assert.equal((await as(name, "player", here).post(`${at}/join`, {})).status, 200);
        // gains - that those hear 25 packets more, and these others not one
        const gains = async (names, others, why) => {
            const before = await players();
            const now_ = await until(why, async () => {
                const at_ = await players();
                return names.every((name) => at_[name].heard >= before[name].heard + 25) && at_;
            });
            for (const name of others) assert.equal(now_[name].heard, before[name].heard, `${why}: ${name}`);
        };
        // silence - until what was under way to those has come, while this one goes on hearing
        const silence = async (those, lively) => {
            let last = await players();
            await until(`silence for ${those}`, async () => {
                const next = await players();
                if (next[lively].heard < last[lively].heard + 5) return false;
                const is_still = those.every((name) => next[name].heard === last[name].heard);
                last = next;
                return is_still;
            });
        };
        const names = listeners.map((one) => one.name);
        await gains(names, ["far-eve", "far-ann"], "who is in the channel hears him, at both workers");

        const [near, far] = [true, false].map((same) => listeners.find((one) => (one.worker === listeners[0].worker) === same).name);
        for (const name of [near, far]) assert.equal((await ann.put(`${at}/participants/${name}`, { is_deafened: true })).status, 200);
        const rest = names.filter((name) => name !== near && name !== far);
        await silence([near, far], rest[0]);
        await gains(rest, [near, far, "far-eve"], "the deaf get nothing");
        for (const name of [near, far]) await ann.put(`${at}/participants/${name}`, { is_deafened: false });
        assert.equal((await as(far, "player", here).post(`${at}/leave`, {})).status, 204);
        await silence([far], near);
        await gains(names.filter((name) => name !== far), [far], "who left gets nothing");
        assert.equal((await as(far, "player", here).post(`${at}/join`, {})).status, 200);
        await gains(names, [], "and again when he is back");

        speaker.child.kill("SIGKILL"); // no word of farewell; he comes again, to whichever worker
        await speaker.ended;
        await come("far-ann", ["--in", `${folder}/long.wav`]);
        assert.equal((await ann.post(`${at}/join`, {})).status, 200);
        await gains(names, ["far-eve"], "he is heard where he came back");
        const metrics = await (await fetch(`${both.base}/metrics`, { headers: { Authorization: `Bearer ${token("boss", "admin")}` } })).text();
        for (const name of ["necpnet_voice_relayed_packets_total", "necpnet_voice_relay_received_total"]) assert.ok(Number(metrics.match(new RegExp(`^${name} (\\d+)`, "m"))[1]) > 50, name);
        assert.match(metrics, /left_out_total\{why="relay"\} 0/);
        for (const child of children) child.kill("SIGTERM");
        await until("their end", () => children.every((one) => one.exitCode !== null || one.signalCode !== null));
        for (const name of names) assert.ok(loudness(`${folder}/${name}.wav`) > 300, `${name} heard the tone`);
        assert.equal(loudness(`${folder}/eve.wav`), 0);
    } finally {
        for (const child of children) child.kill("SIGKILL");
        await both.stop();
    }
});

test("a client of necpnet.v1 joins and signals by the same calls, and learns the group to speak to", async () => {
    const { id } = await channel(as("v1-ann"));
    const other = await rpc("v1-ann");
    await other.call("voice.join", { channel_id: id });
    const grant = await as("v1-bob").post("/api/v1/connect-tokens", {});
    const child = spawn(path.resolve(BUILD, "bin/necpnet"), ["rpc", "--transport", "udp", "--token", grant.json.token], { stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    const answers = () => said.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const ask = async (number, method, params) => {
        child.stdin.write(JSON.stringify({ jsonrpc: "2.0", id: number, method, params }) + "\n");
        return until(method, () => answers().find((one) => one.id === number));
    };
    try {
        const joined = await ask(1, "voice.join", { channel_id: id });
        assert.ok(joined.result?.group > 0, JSON.stringify(joined));
        assert.equal(joined.result.participant.user_id, "v1-bob");
        assert.deepEqual((await ask(2, "voice.channels", {})).result.channels, [{ channel_id: id, is_muted: false, is_deafened: false, group: joined.result.group }]);
        const offer = { type: "offer", session_id: "v1", from_user_id: "v1-bob", to_user_id: "v1-ann", channel_id: id, offer: { type: "offer", sdp: SDP } };
        assert.deepEqual((await ask(3, "voice.signal", offer)).result, { delivered: true, session_id: "v1" });
        assert.equal((await ask(4, "voice.signal", { ...offer, from_user_id: "v1-ann", to_user_id: "v1-bob" })).error.code, -32002);
        await until("the offer", () => other.signals().length === 1);
        await other.call("voice.signal", { ...offer, type: "answer", from_user_id: "v1-ann", to_user_id: "v1-bob", offer: undefined, answer: { type: "answer", sdp: SDP } });
        await until("the answer", () => answers().some((one) => one.method === "voice.signal" && one.params.type === "answer"));
    } finally {
        child.kill("SIGKILL");
        other.close();
    }
});

test("ICE servers come with credentials of their own", async () => {
    const reply = (await as("ice-ann").get("/api/v1/ice-servers")).json;
    assert.deepEqual(reply.ice_servers[0], { urls: ["stun:stun.example.com:19302"] });
    const turn = reply.ice_servers[1];
    assert.deepEqual(turn.urls, ["turn:127.0.0.1:3478?transport=udp"]);
    const [until_s, user] = turn.username.split(":");
    assert.match(user, /^[0-9a-f]{16}$/, "no name of a player goes to the TURN server");
    assert.ok(Math.abs(Number(until_s) - now() - 3600) < 5);
    assert.equal(turn.credential, createHmac("sha1", TURN_SECRET).update(turn.username).digest("base64"));
});

test("coturn takes the credentials, and refuses those that have expired", async () => {
    assert.ok(existsSync("/usr/bin/turnserver"), "fix: tools/setup.sh installs coturn");
    const probe = dgram.createSocket("udp4");
    await new Promise((resolve) => probe.bind(0, "127.0.0.1", resolve));
    const port = probe.address().port;
    probe.close();
    mkdirSync(`${folder}/turn`);
    const turn = spawn("/usr/bin/turnserver", ["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", String(port), "--use-auth-secret", "--static-auth-secret", TURN_SECRET,
                                               "--realm", "necpnet", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers", "--log-file", "stdout", "--simple-log", "--pidfile", `${folder}/turn/pid`, "--userdb", `${folder}/turn/db`], { stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [turn.stdout, turn.stderr]) stream.on("data", (data) => (log += data));
    try {
        const { username, credential } = (await as("ice-ann").get("/api/v1/ice-servers")).json.ice_servers[1];
        const allocate = async (name, word) => {
            const client = spawn("turnutils_uclient", ["-y", "-n", "3", "-m", "1", "-p", String(port), "-u", name, "-w", word, "127.0.0.1"], { stdio: ["ignore", "pipe", "pipe"] });
            let said = "";
            for (const stream of [client.stdout, client.stderr]) stream.on("data", (data) => (said += data));
            const timer = setTimeout(() => client.kill("SIGKILL"), 8000);
            await new Promise((resolve) => client.on("exit", resolve));
            clearTimeout(timer);
            return said;
        };
        await until("coturn", () => log.includes("admin thread"));
        const good = await allocate(username, credential);
        assert.match(good, /Total lost packets 0/i, good + log);
        const expired = `${now() - 10}:${username.split(":")[1]}`;
        const bad = await allocate(expired, createHmac("sha1", TURN_SECRET).update(expired).digest("base64"));
        assert.match(bad, /error 401|Cannot complete Allocation/i, bad);
        assert.ok(!/Total lost packets 0/i.test(bad));
        assert.match(await allocate(username, "wrong"), /error 401|Cannot complete Allocation/i);
    } finally {
        turn.kill("SIGKILL");
    }
});
