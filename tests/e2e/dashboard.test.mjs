// dashboard - the operator's page in a real Chromium: clients join and are counted, plots move, the inspector shows events, filters and
// pauses; an admin's drain disconnects everybody; a player's token sees nothing; it works at 360 pixels, in light and dark, by
// keyboard. Screenshots go to build/screenshots.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import nodeTest, { after, before } from "node:test";
import { chromium } from "playwright-core";
import { hs256, make, now } from "./jwt.mjs";
import { BUILD, count, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of the tests, of more than 32 bytes";
const KEY = "1:" + "cd".repeat(32);
const SHOTS = "build/screenshots";
const CLIENTS = 50;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const makeJwt = (secret, sub, role) => make({ alg: "HS256", typ: "JWT" }, { sub, role, exp: now() + 600 }, hs256(secret));

let server;
let browser;
let load;
before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    server = await start(["--mode", "production", "--bind-address", "127.0.0.1", "--token-keys", KEY, "--region", "eu-test", "--store", "memory:", "--web-directory",
        path.resolve("build/wasm/web"), "--drain-ms", "30000"], { JWT_SECRET: SECRET });
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
});
after(async () => {
    load?.kill("SIGKILL");
    await browser?.close();
    await server.stop();
});

async function open(role, options = {}) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(server.base + "/dashboard");
    if (role) {
        await page.fill("#token", makeJwt(SECRET, "operator-1", role));
        await page.press("#token", "Enter");
    }
    return { page, problems };
}

const clientsOf = (page) => page.locator(".card b").first().textContent().then(Number, () => -1);

test("nobody sees anything without a token, and a player's token is refused with the reason", async () => {
    const { page } = await open(null);
    await page.waitForSelector("#refused:not([hidden])", { timeout: 10000 });
    assert.match(await page.textContent("#refused"), /Sign in/);
    assert.ok(await page.isHidden("main"));
    await page.fill("#token", makeJwt(SECRET, "player-1", "player"));
    await page.click("#sign-in button");
    await until("the refusal", async () => /role may not/.test(await page.textContent("#refused")));
    assert.ok(await page.isHidden("main"));
    assert.ok(await page.isHidden("#drain"));
    assert.equal(await page.locator("#connections tbody tr").count(), 0);
    await page.close();
});

test("fifty clients join and are counted; plots and tables move", async () => {
    const { page, problems } = await open("admin");
    await page.waitForSelector("main:not([hidden])");
    await until("an empty node", async () => await clientsOf(page) === 0, 15000);
    load = spawn(path.resolve(BUILD, "bin/necpnet"), ["load", `ws://127.0.0.1:${server.port}/ws`, "--clients", String(CLIENTS), "--rate", "10", "--seconds", "120", "--key", KEY],
        { stdio: "ignore" });
    await until("fifty clients", async () => await clientsOf(page) === CLIENTS, 30000);
    // and the page's own JSON-RPC
    await until("fifty-one rows", async () => await page.locator("#connections tbody tr").count() === CLIENTS + 1, 15000);
    assert.match(await page.locator("#status b").textContent(), /Healthy/);
    await until("traffic in the cards", async () => /[1-9].*B\/s/.test(await page.locator(".card b").nth(1).textContent()), 15000);
    const drawn = () => page.locator("#plot-clients canvas").evaluate((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let i = 3; i < data.length; i += 4) sum = (sum * 31 + data[i]) >>> 0;
        return sum;
    });
    const first = await drawn();
    await until("another picture", async () => await drawn() !== first, 15000);
    await page.fill("#connection-find", "no such player");
    await until("no row", async () => /nobody/.test(await page.textContent("#connections tbody")));
    await page.fill("#connection-find", "");
    await until("things on the map", async () => /things in the world/.test(await page.textContent("#zone-note")), 15000);
    await until("zones by their names", async () => /^north-west .*\d+ wanderers?/.test(await page.locator("#zones li").first().textContent()), 15000);
    assert.equal(await page.locator("#zones li").count(), 4);
    await until("routes", async () => /GET \/health/.test(await page.textContent("#routes tbody")), 15000);
    await page.screenshot({ path: `${SHOTS}/dashboard-light.png`, fullPage: true });
    assert.deepEqual(problems, []);
    await page.close();
});

test("the inspector shows what is published, filtered and paused", async () => {
    const { page, problems } = await open("admin");
    await page.waitForSelector("main:not([hidden])");
    await page.click("#event-subscribe"); // world
    await page.waitForSelector("#subscriptions button");
    const publish = (temperature) => page.evaluate(async ([jwt, value]) => {
        const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws?protocol=jsonrpc", ["jsonrpc2.necpnet", "necpnet.bearer." + jwt]);
        const ask = (id, method, params) => new Promise((done) => {
            socket.addEventListener("message", (message) => { const answer = JSON.parse(message.data); if (answer.id === id) done(answer); });
            socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
        });
        await new Promise((done) => (socket.onopen = done));
        await ask(1, "session.hello", {});
        const answer = await ask(2, "event.publish", { topic: "system", type: "system.notice", data: { text: value } });
        socket.close();
        return answer;
    }, [makeJwt(SECRET, "service-1", "service"), temperature]);
    await page.fill("#event-topic", "system");
    await page.press("#event-topic", "Enter");
    await until("two topics", async () => await page.locator("#subscriptions button").count() === 2);
    const answer = await publish("first notice");
    assert.ok(answer.result, JSON.stringify(answer));
    await until("the event", async () => /first notice/.test(await page.textContent("#events tbody")));
    assert.match(await page.textContent("#events tbody"), /system\.notice/);
    assert.equal(await page.locator("#events dt").first().textContent(), "text");
    await page.check("#event-pause");
    assert.ok((await publish("second notice")).result);
    await until("the count of new ones", async () => await page.textContent("#event-missed") === "1 new");
    assert.ok(!/second notice/.test(await page.textContent("#events tbody")), "paused");
    await page.uncheck("#event-pause");
    await until("what came meanwhile", async () => /second notice/.test(await page.textContent("#events tbody")));
    await page.fill("#event-filter", "FIRST");
    await until("the filter", async () => !/second notice/.test(await page.textContent("#events tbody")));
    assert.match(await page.textContent("#events tbody"), /first notice/);
    await page.fill("#event-topic", "no/such topic");
    await page.click("#event-subscribe");
    await page.waitForSelector("#subscriptions .bad");
    assert.deepEqual(problems, []);
    await page.close();
});

test("it fits 360 pixels, is dark when asked, and can be used by keyboard alone", async () => {
    const { page, problems } = await open("admin", { viewport: { width: 360, height: 740 }, colorScheme: "dark" });
    await page.waitForSelector("main:not([hidden])");
    await until("figures", async () => await clientsOf(page) === CLIENTS, 15000);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), "the page scrolls sideways");
    await page.screenshot({ path: `${SHOTS}/dashboard-narrow-dark.png`, fullPage: true });
    await page.keyboard.press("Tab");
    const focused = [];
    for (let i = 0; i < 40; i++) {
        focused.push(await page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute("aria-label") || document.activeElement?.value || ""));
        await page.keyboard.press("Tab");
    }
    for (const wanted of ["drain", "connection-status", "connection-find"]) assert.ok(focused.includes(wanted), `${wanted} is not reached: ${focused}`);
    assert.deepEqual(problems, []);
    await page.close();
});

test("an administrator's drain asks first, then sends everybody away", async () => {
    const { page } = await open("admin");
    await page.waitForSelector("#drain:not([hidden])");
    await until("figures", async () => await clientsOf(page) === CLIENTS, 15000);
    await page.click("#drain");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Enter"); // the safe answer has the focus
    await page.waitForSelector("dialog[open]", { state: "detached" }).catch(() => {});
    assert.match(await page.locator("#status b").textContent(), /Healthy/);
    await page.click("#drain");
    await page.click("dialog .danger");
    await until("drained clients", async () => load.exitCode !== null || await clientsOf(page) <= 0 || /Draining|No answer/.test(await page.locator("#status b").textContent()), 20000);
    assert.deepEqual(await server.waitEnd(40000), { code: 0, signal: null });
    await page.close();
});
