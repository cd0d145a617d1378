/* browser.test - the whole way: two pages in Chromium and a native client over UDP meet in the arena of one server, with connect
 * tokens. Each must see the other two where they walked; then the server is killed and started anew, and all come back by
 * themselves. NECPNET_SCREENSHOTS=DIR keeps pictures of the page (light, dark, narrow). */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { check, program, root, run, sleep, start, startServer, stop, until } from "./programs.mjs";

const RECORD_S = 6;
const CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

let browser = null;

/* ---- paths ---- */

/** Where the owner was at a tick, between two words of the server; null where it said nothing near. */
function at(said, tick) {
  let i = said.findIndex((one) => one.tick >= tick);
  if (i <= 0) return null;
  const [a, b] = [said[i - 1], said[i]];
  if (b.tick - a.tick > 12) return null;
  const part = (tick - a.tick) / (b.tick - a.tick);
  return { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part, from: i - 1 };
}

function distanceToSegment(p, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const part = length ? Math.min(1, Math.max(0, ((p.x - a.x) * dx + (p.y - a.y) * dy) / length)) : 0;
  return Math.hypot(p.x - a.x - dx * part, p.y - a.y - dy * part);
}

function quantile(numbers, part) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Infinity;
}

/** How far what was shown lies from the path (anywhere near that time), and from the place at that very tick. */
function compare(shown, said) {
  const off = [];
  const late = [];
  for (const one of shown) {
    const place = at(said, one.tick);
    if (!place) continue;
    late.push(Math.hypot(one.x - place.x, one.y - place.y));
    let best = Infinity;
    for (let i = Math.max(0, place.from - 4); i < Math.min(said.length - 1, place.from + 5); i++) {
      best = Math.min(best, distanceToSegment(one, said[i], said[i + 1]));
    }
    off.push(best);
  }
  return { samples: off.length, offMedian: quantile(off, 0.5), offMost: quantile(off, 0.95), offWorst: quantile(off, 1),
    lateMedian: quantile(late, 0.5), lateMost: quantile(late, 0.95) };
}

function pathLength(said) {
  return said.slice(1).reduce((sum, one, i) => sum + Math.hypot(one.x - said[i].x, one.y - said[i].y), 0);
}

/** The interpolation's share: a corner cut between two states, up to 6 ticks apart at walking speed (0.133 units a tick). */
const CORNER = 6 * (136 / 1024) * 0.36;

/** On a machine that stalls now and then the next state is guessed often, and the way back from a guess is shown. Who is shown at
 * another time or place than the owner's is further off than this: 0.8 units a tenth of a second. */
function isRight(figures) {
  return figures.samples >= 40 && figures.offMedian <= CORNER / 4 && figures.offMost <= CORNER &&
    figures.lateMedian <= CORNER / 2 && figures.lateMost <= 2 * CORNER;
}

function checkPath(who, whom, shown, said) {
  const figures = compare(shown.filter((one) => one.name === whom), said);
  const text = `${figures.samples} samples; off the path: median ${figures.offMedian.toFixed(4)}, 95 % under ` +
    `${figures.offMost.toFixed(3)}, worst ${figures.offWorst.toFixed(3)}; off the place at that tick: median ` +
    `${figures.lateMedian.toFixed(4)}, 95 % under ${figures.lateMost.toFixed(3)} (units)`;
  return check(isRight(figures), `${who} sees ${whom} walk: ${text}`);
}

/* ---- clients ---- */

async function openPage(server, name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 640 }, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => {
    const expected = /WebSocket connection|Failed to load resource|ERR_CONNECTION/.test(message.text());
    if (message.type() === "error" && !expected) page.faults.push(message.text());
  });
  await page.goto(`${server.url}?name=${name}`);
  await page.waitForFunction(() => window.arena?.client, null, { timeout: 20000 });
  return page;
}

const names = (page) => page.evaluate(() => window.arena.players().map((one) => one.name).sort().join());
const own = (page) => page.evaluate(() => window.arena.own());

/** A native client that walks about; what it says of itself and sees of others. */
function startNative(server) {
  const native = { shown: [], said: [], names: new Map(), ownName: "nat" };
  const running = start(program("necpnet"), ["play", "--json", "--transport", "udp", "--name", native.ownName, "--token-url",
    `${server.url}api/v1/connect-tokens`], (line) => {
    let entry;
    try {
      entry = JSON.parse(line);
    } catch {
      return;
    }
    if (entry.event === "latest" && entry.tick !== native.said[native.said.length - 1]?.tick) native.said.push(entry);
    if (entry.event !== "at") return;
    native.names.set(entry.name, Date.now());
    if (!entry.own && entry.tick > 0) native.shown.push(entry);
  });
  return Object.assign(native, running);
}

/** Whom the native client has seen in the last moment. */
function nativeSees(native) {
  return [...native.names].filter(([, when]) => Date.now() - when < 500).map(([name]) => name).sort().join();
}

async function walk(page, ways, ms) {
  for (const [x, y] of ways) {
    await page.evaluate(([x, y]) => window.arena.walk(x, y), [x, y]);
    await sleep(ms);
  }
  await page.evaluate(() => window.arena.walk(0, 0));
}

/** All three walk for a while; each says where the server had it, and what it saw of the others. */
async function recordAll(pages, native, seconds) {
  native.shown.length = native.said.length = 0;
  for (const page of pages) await page.evaluate(() => { window.stopRecording = window.arena.record(); });
  const square = [[1, 0], [0, 1], [-1, 0], [0, -1]];
  const zigzag = [[-1, 0.4], [-0.5, -1], [1, -0.2], [0.3, 1]];
  const ms = (seconds * 1000) / 8;
  await Promise.all([walk(pages[0], [...square, ...square], ms), walk(pages[1], [...zigzag, ...zigzag], ms)]);
  await sleep(400);
  return Promise.all(pages.map((page) => page.evaluate(() => window.stopRecording())));
}

async function everybodySees(pages, native, expected, seconds) {
  for (const page of pages) await until(`a page sees ${expected}`, async () => (await names(page)) === expected, seconds);
  await until(`the native client sees ${expected}`, () => nativeSees(native) === expected, seconds);
}

function checkAll(ada, ben, native) {
  const said = { ada: ada.said, ben: ben.said, nat: native.said };
  for (const [name, path] of Object.entries(said)) {
    check(pathLength(path) > 3, `${name} walked ${pathLength(path).toFixed(1)} units in ${path.length} states`);
  }
  checkPath("ada", "ben", ada.shown, said.ben);
  checkPath("ada", "nat", ada.shown, said.nat);
  checkPath("ben", "ada", ben.shown, said.ada);
  checkPath("ben", "nat", ben.shown, said.nat);
  checkPath("nat", "ada", native.shown, said.ada);
  checkPath("nat", "ben", native.shown, said.ben);
}

async function checkChat(from, to) {
  await from.fill("#say", "hello, ben");
  await from.press("#say", "Enter");
  await until("the chat line arrives", () => to.evaluate(() => document.querySelector("#lines").textContent.includes("ada: hello, ben")), 5);
  check(true, "a chat line reaches the other page");
}

async function checkKeys(page) {
  await page.evaluate(() => window.arena.walk());
  await page.focus("#arena");
  const before = await own(page);
  await page.keyboard.down("ArrowLeft");
  await page.keyboard.down("w");
  await sleep(500);
  await page.keyboard.up("w");
  await page.keyboard.up("ArrowLeft");
  const after = await own(page);
  check(Math.hypot(after.x - before.x, after.y - before.y) > 0.5, "keys move the player");
}

async function checkDelay(page) {
  await page.locator("#latency").evaluate((slider) => {
    slider.value = "80";
    slider.dispatchEvent(new Event("input"));
  });
  const rtt = await until("the round trip grows by the simulated latency", async () => {
    const us = await page.evaluate(() => window.arena.client.statistics.rttUs);
    return us > 100000 && us;
  }, 20);
  check(true, `simulated latency of 80 ms each way: round trip ${(rtt / 1000).toFixed(0)} ms`);
  await page.evaluate(() => window.arena.client.simulate(0, 0));
}

async function checkRestart(server, pages, native) {
  const before = await Promise.all(pages.map((page) => page.evaluate(() => (window.sameDocument = Math.random()))));
  await stop(server, "SIGKILL");
  await until("the page says that the connection is lost", () => pages[0].evaluate(() =>
    document.querySelector("#status").dataset.state !== "connected" && document.querySelector("#status").textContent), 10);
  const text = await pages[0].evaluate(() => document.querySelector("#status").textContent);
  check(text.length > 15, `the page says so: "${text}"`);
  await sleep(700);
  const again = await startServer(["--port", String(server.tcp_port), "--udp-port", String(server.udp_port)]);
  const began = Date.now();
  await until("all three are connected again", async () => {
    const answer = await fetch(`http://127.0.0.1:${server.tcp_port}/health`);
    return (await answer.json()).peers.connected === 3;
  }, 30);
  native.names.clear(); /* until then everyone still showed the world of before */
  await everybodySees(pages, native, "ada,ben,nat", 30);
  check(true, `all three are back ${((Date.now() - began) / 1000).toFixed(1)} s after the server`);
  const after = await Promise.all(pages.map((page) => page.evaluate(() => window.sameDocument)));
  check(before.join() === after.join(), "without loading the pages again");
  return again;
}

async function keepPictures(server, pages) {
  const folder = process.env.NECPNET_SCREENSHOTS;
  if (!folder) return;
  await pages[0].screenshot({ path: join(folder, "arena-light.png") });
  const looks = {
    dark: { viewport: { width: 1280, height: 760 }, colorScheme: "dark" },
    narrow: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
    "narrow-dark": { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: "dark" },
  };
  for (const [name, options] of Object.entries(looks)) {
    const page = await openPage(server, name, options);
    await sleep(2500);
    await page.screenshot({ path: join(folder, `arena-${name}.png`), fullPage: name === "narrow" });
    await page.context().close();
  }
}

async function checkNarrow(server) {
  const page = await openPage(server, "tiny", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await until("the narrow page is in", () => own(page), 10);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  check(wide <= 360, `no sideways scrolling at 360 pixels (${wide})`);
  const before = await own(page);
  const box = await page.locator("#arena").boundingBox();
  const session = await page.context().newCDPSession(page);
  const touch = (type, x, y) => session.send("Input.dispatchTouchEvent", { type, touchPoints: type === "touchEnd" ? [] : [{ x, y }] });
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await touch("touchStart", x, y);
  await touch("touchMove", x + (before.x < 20 ? 40 : -40), y + 5);
  await sleep(600);
  await touch("touchEnd");
  const after = await own(page);
  check(Math.hypot(after.x - before.x, after.y - before.y) > 0.5, "the touch stick moves the player");
  await page.context().close();
}

/** The npm package as it is, loaded by a worker without any bundler. */
async function checkWorker() {
  const server = await startServer(["--web-directory", join(root, "build/wasm/package")]);
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}package.json`);
  const said = await page.evaluate(() => new Promise((done) => {
    const code = `
      const { connect } = await import("${location.origin}/index.js");
      const token = async () => (await (await fetch("${location.origin}/api/v1/connect-tokens", { method: "POST",
        headers: { "Content-Type": "application/json" }, body: '{"transport":"websocket"}' })).json()).token;
      const client = await connect({ token });
      client.on("connected", () => client.sendNamed("echo", "from a worker"));
      client.on("message", ({ data }) => postMessage(new TextDecoder().decode(data)));
    `;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    worker.onmessage = (event) => done(event.data);
    worker.onerror = (event) => done("error: " + event.message);
    setTimeout(() => done("nothing within 10 s"), 10000);
  }));
  check(said === "from a worker", `the npm package in a worker, without a bundler: ${said}`);
  await page.context().close();
  check((await stop(server)) === 0, "its server ends in order");
}

async function test() {
  const web = join(root, "build/wasm/web/arena.js");
  if (!existsSync(web)) throw new Error(`${web} is missing\n  fix: make wasm`);
  const { chromium } = await import("playwright-core").catch(() => {
    throw new Error("playwright-core is missing\n  fix: (cd tests/e2e && npm ci), or tools/setup.sh");
  });
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing\n  fix: tools/setup.sh, or CHROMIUM=path`);
  let server = await startServer();
  browser = await chromium.launch({ executablePath, args: CHROMIUM });
  const pages = [await openPage(server, "ada"), await openPage(server, "ben")];
  const native = startNative(server);
  await everybodySees(pages, native, "ada,ben,nat", 15);
  check(true, "two pages and a native client over UDP are in one arena");
  const transports = await pages[0].evaluate(() => window.arena.players().map((one) => one.name + one.platform).sort().join());
  check(transports === "ada2,ben2,nat1", `over WebSocket and UDP: ${transports}`);

  const [ada, ben] = await recordAll(pages, native, RECORD_S);
  checkAll(ada, ben, native);
  await checkKeys(pages[0]);
  await checkChat(pages[0], pages[1]);
  await checkDelay(pages[0]);
  await checkNarrow(server);
  await everybodySees(pages, native, "ada,ben,nat", 15);
  await keepPictures(server, pages);
  await everybodySees(pages, native, "ada,ben,nat", 15);

  server = await checkRestart(server, pages, native);
  const [ada2, ben2] = await recordAll(pages, native, 3);
  checkAll(ada2, ben2, native);

  const stranger = start(program("necpnet"), ["connect", `ws://127.0.0.1:${server.tcp_port}/ws`, "--open", "--seconds", "3"]);
  const code = await stranger.ended;
  check(code === 1, `who shows no token does not get in (exit code ${code})`);
  await checkWorker();
  for (const page of pages) check(page.faults.length === 0, "no error in the page" + page.faults.map((one) => "\n  " + one).join(""));
  await browser.close();
  check((await stop(native, "SIGINT")) === 0, "the native client ends in order");
  check((await stop(server)) === 0, "the server ends in order");
}

await run(test, 200, async () => browser?.close());
