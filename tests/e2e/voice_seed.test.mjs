// voice_seed - the description's JavaScript in Chromium, unchanged but for its token: it joins and offers, the page of the other user
// answers, candidates go both ways in the description's shape, and the tone of the first page is heard in the second. All against a
// server in production mode with signed tokens.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { hs256, make, now } from "./jwt.mjs";
import { count, start, until } from "./server_process.mjs";
import { SEED } from "./voice_seed.mjs";

const SECRET = "a secret of more than thirty-two bytes!";
const HZ = 520;
const token = (sub, role = "player") => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600 }, hs256(SECRET));
let server;
let browser;

before(async () => {
    const { chromium } = await import("playwright-core");
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    assert.ok(existsSync(executablePath), `${executablePath} is missing\n  fix: tools/setup.sh, or CHROMIUM=path`);
    server = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--voice", "channels", "--bots", "0"], { JWT_SECRET: SECRET });
    // a page that the test itself hands out counts as one of a public network
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--autoplay-policy=no-user-gesture-required",
                                                             "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks"] });
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

// In the page: a connection to the other user, its signals by REST as the description has them, those for this user by WebSocket.
function inPage({ user, other, bearer, hz }) {
    const connection = new RTCPeerConnection();
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    const early = []; // candidates before the description that they belong to
    analyser.fftSize = 4096;
    window.refused = [];
    window.connection = connection;
    window.signed = (target, options) => fetch(target, { ...options, headers: { ...options.headers, Authorization: `Bearer ${bearer}` } });
    const say = async (signal) => {
        const reply = await window.signed("/api/v1/voice-channels/channel-123/signal", {
            method: "POST", headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ from_user_id: user, to_user_id: other, channel_id: "channel-123", ...signal }),
        });
        if (!reply.ok) window.refused.push(`${signal.type}: ${await reply.text()}`);
    };
    let offered; // candidates follow the offer
    window.offered = new Promise((resolve) => (offered = resolve));
    window.release = offered;
    connection.onicecandidate = async ({ candidate }) => {
        if (hz) await window.offered;
        if (candidate) await say({ type: "candidate", candidate: candidate.toJSON() });
    };
    connection.ontrack = ({ streams }) => {
        const element = document.body.appendChild(new Audio()); // Chromium decodes for an element alone
        element.srcObject = streams[0];
        element.muted = true;
        context.createMediaStreamSource(streams[0]).connect(analyser);
    };
    const take = async (signal) => {
        if (signal.type === "candidate") {
            if (connection.remoteDescription) await connection.addIceCandidate(signal.candidate);
            else early.push(signal.candidate);
            return;
        }
        await connection.setRemoteDescription(signal[signal.type]);
        if (signal.type === "offer") {
            await connection.setLocalDescription();
            await say({ type: "answer", answer: { type: "answer", sdp: connection.localDescription.sdp } });
        }
        for (const candidate of early.splice(0)) await connection.addIceCandidate(candidate);
    };
    if (hz) {
        const oscillator = new OscillatorNode(context, { frequency: hz });
        const target = context.createMediaStreamDestination();
        oscillator.connect(target);
        oscillator.start();
        connection.addTrack(target.stream.getTracks()[0], target.stream);
    }
    window.strongest = () => {
        const bins = new Float32Array(analyser.frequencyBinCount);
        analyser.getFloatFrequencyData(bins);
        const at = bins.reduce((best, db, i) => (db > bins[best] ? i : best), 0);
        return { hz: (at * context.sampleRate) / analyser.fftSize, db: bins[at] };
    };
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(`/ws?access_token=${bearer}`.replace(/^/, location.origin.replace("http", "ws")), "jsonrpc2.necpnet");
        let turn = Promise.resolve();
        socket.onopen = () => socket.send('{"jsonrpc":"2.0","id":1,"method":"session.hello","params":{}}');
        socket.onerror = () => reject(new Error("the WebSocket failed"));
        socket.onmessage = ({ data }) => {
            const said = JSON.parse(data);
            if (said.id === 1) resolve(said.error ?? null);
            if (said.method === "voice.signal") turn = turn.then(() => take(said.params)).catch((error) => window.refused.push(String(error)));
        };
    });
}

async function open(user, other, hz) {
    const page = await (await browser.newContext()).newPage();
    await page.route("**/game.html", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>a game</title>" }));
    await page.goto(`${server.base}/game.html`);
    assert.equal(await page.evaluate(inPage, { user, other, bearer: token(user), hz }), null);
    return page;
}

count(test)("the description's JavaScript joins and offers in Chromium, and the other user hears the page", async () => {
    const service = { Authorization: `Bearer ${token("matchmaker", "service")}`, "Content-Type": "application/json" };
    const post = (target, body) => fetch(server.base + target, { method: "POST", headers: service, body: JSON.stringify(body) });
    assert.equal((await post("/api/v1/voice-channels", { name: "Guild party", type: "party", id: "channel-123" })).status, 201);
    const ben = await open("user-789", "user-456", 0);
    assert.equal((await post("/api/v1/voice-channels/channel-123/join", { user_id: "user-789" })).status, 200);
    const ann = await open("user-456", "user-789", HZ);
    const statuses = await ann.evaluate(async (seed) => {
        await window.connection.setLocalDescription();
        const AsyncFunction = (async () => {}).constructor;
        const run = new AsyncFunction("fetch", "localDescription", `${seed}\nreturn [response.status, signalingResponse.status];`);
        const result = await run(window.signed, window.connection.localDescription);
        window.release();
        return result;
    }, SEED);
    assert.deepEqual(statuses, [200, 200]);
    const heard = await until("the tone", async () => {
        const strongest = await ben.evaluate(() => window.strongest());
        return Math.abs(strongest.hz - HZ) < 25 && strongest.db > -60 && strongest;
    }, 30000);
    assert.ok(heard);
    for (const page of [ann, ben]) {
        assert.equal(await page.evaluate(() => window.connection.connectionState), "connected");
        assert.deepEqual(await page.evaluate(() => window.refused), []);
    }
    const bare = await ann.evaluate(async (seed) => { // as it stands: without a token it is told so
        const AsyncFunction = (async () => {}).constructor;
        return new AsyncFunction("localDescription", `${seed}\nreturn [response.status, signalingResponse.status];`)({ sdp: "" });
    }, SEED);
    assert.deepEqual(bare, [401, 401]);
});
