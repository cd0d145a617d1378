/* voice.test - pages in Chromium talk to each other: a microphone of 440 Hz and two of 660 Hz (files in the place of a device).
 * What is heard is measured in the page: loudness and tone of all that goes to the loudspeaker; who is sent packets is counted at the
 * server. A page that is deaf, has muted the speaker or is out of range gets none. From browser to browser they hear each other
 * as well, and the server forwards nothing. NECPNET_SCREENSHOTS=DIR keeps pictures of the panel (light, dark, narrow). */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, root, run, startServer, stop, until } from "./programs.mjs";

const TONES = { ada: 440, ben: 660, cat: 660 };
const HZ_OFF = 25;      /* what a tone may be off: a bin of the analyser and the codec's */
const LOUD = 0.01;      /* -40 dB: far above what silence with comfort noise has */
const PACKETS = 50;     /* a second of speech */
const RADIUS = 6;
const CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
  "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-features=WebRtcHideLocalIpsWithMdns"];

const folder = mkdtempSync(join(tmpdir(), "necpnet-voice-"));
const browsers = new Map();

/** Two seconds of a tone with the swell of speech: one that only hums is noise to browsers and to the server. */
function writeTone(file, hz) {
  const count = 48000 * 2;
  const data = Buffer.alloc(44 + count * 2);
  data.write("RIFF", 0); data.writeUInt32LE(36 + count * 2, 4); data.write("WAVEfmt ", 8);
  data.writeUInt32LE(16, 16); data.writeUInt16LE(1, 20); data.writeUInt16LE(1, 22); data.writeUInt32LE(48000, 24);
  data.writeUInt32LE(96000, 28); data.writeUInt16LE(2, 32); data.writeUInt16LE(16, 34); data.write("data", 36);
  data.writeUInt32LE(count * 2, 40);
  for (let i = 0; i < count; i++) {
    const swell = Math.abs(Math.sin((i / 48000) * Math.PI * 4));
    data.writeInt16LE(Math.round(16000 * swell * Math.sin((i / 48000) * 2 * Math.PI * hz)), 44 + i * 2);
  }
  writeFileSync(file, data);
}

async function browserOf(hz) {
  if (browsers.has(hz)) return browsers.get(hz);
  const { chromium } = await import("playwright-core").catch(() => {
    throw new Error("playwright-core is missing\n  fix: (cd tests/e2e && npm ci), or tools/setup.sh");
  });
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing\n  fix: tools/setup.sh, or CHROMIUM=path`);
  const file = join(folder, `${hz}.wav`);
  writeTone(file, hz);
  const browser = await chromium.launch({ executablePath, args: [...CHROMIUM, `--use-file-for-fake-audio-capture=${file}`] });
  browsers.set(hz, browser);
  return browser;
}

async function openPage(server, name, options = {}) {
  const browser = await browserOf(TONES[name] ?? 660);
  const page = await (await browser.newContext({ viewport: { width: 1000, height: 900 }, ...options })).newPage();
  page.setDefaultTimeout(60000); /* a machine that draws by its processor has three pages to draw */
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  await page.goto(`${server.url}?name=${name}`);
  await page.waitForFunction(() => window.arena?.client && window.arena.own(), null, { timeout: 40000 });
  page.player = name;
  return page;
}

/** Switch the voice on by its button, and listen to what goes to the loudspeaker. */
async function switchOn(page) {
  await page.click("#voice-on");
  await page.waitForFunction(() => window.arena.voice?.microphone && window.arena.voice.groups.size > 0 && window.arena.own(), null,
    { timeout: 40000 });
  await page.evaluate(() => {
    const { output } = window.arena.voice;
    const analyser = output.context.createAnalyser();
    analyser.fftSize = 4096;
    analyser.smoothingTimeConstant = 0;
    output.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const bins = new Float32Array(analyser.frequencyBinCount);
    /** The loudness of the last 85 ms, and the frequency that is strongest in them. */
    window.listen = () => {
      analyser.getFloatTimeDomainData(samples);
      analyser.getFloatFrequencyData(bins);
      const at = bins.reduce((best, db, i) => (db > bins[best] ? i : best), 0);
      return { loud: Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length),
        hz: (at * output.context.sampleRate) / analyser.fftSize };
    };
  });
}

async function hears(page, from, why, seconds = 20) {
  const hz = TONES[from];
  const heard = await until(`${page.player} hears ${from} ${why}`, async () => {
    const now = await page.evaluate(() => window.listen());
    return now.loud > LOUD && Math.abs(now.hz - hz) < HZ_OFF && now;
  }, seconds);
  check(true, `${page.player} hears ${from} ${why}: ${heard.hz.toFixed(0)} Hz, ${(20 * Math.log10(heard.loud)).toFixed(0)} dB`);
}

/** What the server has sent to and received from each player, and left out. */
async function counts(server) {
  const { connections } = await (await fetch(`${server.url}ws/connections?limit=100`)).json();
  const metrics = await (await fetch(`${server.url}metrics`)).text();
  const rows = {};
  for (const one of connections) {
    if (one.protocol !== "necpnet.v1" || one.status === "closing") continue;
    rows[one.user.name] = { sent: one.metrics.voice_packets_sent, received: one.metrics.voice_packets_received };
  }
  const metric = (name) => Number(new RegExp(`^necpnet_${name} (\\d+)$`, "m").exec(metrics)?.[1]);
  return { ...rows, forwarded: metric("voice_packets_forwarded_total"), unheard: metric('voice_left_out_total\\{why="unheard"\\}') };
}

/** While the server takes so many packets of one player, another is sent none. */
async function getsNothing(server, page, from, why) {
  const before = await counts(server);
  const after = await until(`${PACKETS} packets of ${from}`, async () => {
    const now = await counts(server);
    return now[from].received - before[from].received >= PACKETS && now;
  });
  const sent = after[page.player].sent - before[page.player].sent;
  check(sent === 0, `${page.player}, ${why}, is sent ${sent} of ${after[from].received - before[from].received} packets of ${from}`);
  return after.unheard - before.unheard;
}

/** Nobody is sent anything any more. */
async function quiet(server) {
  await until("the speaker's last packet", async () => {
    const metrics = await (await fetch(`${server.url}metrics`)).text();
    return /^necpnet_voice_speaking 0$/m.test(metrics);
  });
}

/** Walk there, round what is in the way. */
async function walkTo(page, x, y, within) {
  await page.evaluate(([x, y, within]) => new Promise((done) => {
    let best = Infinity, since = performance.now(), aside = null;
    const step = () => {
      const own = window.arena.own();
      const [dx, dy] = [x - own.x, y - own.y];
      const left = Math.hypot(dx, dy);
      const now = performance.now();
      if (left < within) {
        window.arena.walk(0, 0);
        return done();
      }
      if (left < best - 0.2) [best, since] = [left, now];
      if (now - since > 500) [aside, best, since] = [Math.random() * 2 * Math.PI, Infinity, now];
      else if (aside !== null && now - since > 400) aside = null;
      if (aside === null) window.arena.walk(dx / left, dy / left, true);
      else window.arena.walk(Math.cos(aside), Math.sin(aside), true);
      requestAnimationFrame(step);
    };
    step();
  }), [x, y, within]);
}

const own = (page) => page.evaluate(() => window.arena.own());
const row = (page, name) => page.locator("#speakers li", { hasText: name });

async function talkThroughServer(server, ada, ben, cat) {
  await ada.keyboard.down("v");
  await hears(ben, "ada", "through the server");
  await row(ben, "ada").and(ben.locator("[data-speaks]")).waitFor({ timeout: 10000 });
  check(true, "the panel shows who speaks");
  await ada.keyboard.up("v");
  await quiet(server);
  const box = await ben.locator("#talk").boundingBox();
  await ben.mouse.move(box.x + 10, box.y + 10);
  await ben.mouse.down();
  await hears(ada, "ben", "through the server, the button held");
  await ben.mouse.up();
  await quiet(server);

  await ada.keyboard.down("v");
  await hears(cat, "ada", "as well");
  await cat.check("#deafen");
  await until("the server knows that cat is deaf", async () => {
    const before = await counts(server);
    return until("a packet of ada", async () => {
      const now = await counts(server);
      return now.ada.received > before.ada.received + 2 && { still: now.cat.sent === before.cat.sent };
    }).then(({ still }) => still);
  });
  await getsNothing(server, cat, "ada", "deafened");
  await cat.uncheck("#deafen");
  await hears(cat, "ada", "no longer deafened");
  await row(ben, "ada").locator("button").click();
  await until("ben is sent nothing", async () => {
    const before = await counts(server);
    return until("a packet of ada", async () => {
      const now = await counts(server);
      return now.ada.received > before.ada.received + 2 && { still: now.ben.sent === before.ben.sent };
    }).then(({ still }) => still);
  });
  await getsNothing(server, ben, "ada", "who has muted her");
  await row(ben, "ada").locator("button").click();
  await hears(ben, "ada", "no longer muted");
  await ada.check("#mute");
  await quiet(server);
  check(true, "who mutes the own microphone sends nothing");
  await ada.uncheck("#mute");
  await ada.keyboard.up("v");
  await quiet(server);
}

async function talkNearby(server, ada, ben, cat) {
  const at = await own(ada);
  await walkTo(cat, at.x > 20 ? 2 : 38, at.y > 12 ? 2 : 22, 3);
  await walkTo(ben, at.x, at.y, 2.5);
  await ada.selectOption("#speak-to", "proximity");
  await ada.keyboard.down("v");
  await hears(ben, "ada", "nearby");
  const unheard = await getsNothing(server, cat, "ada", "out of range");
  check(unheard > PACKETS / 2, `the server counts ${unheard} copies as unheard`);
  await ada.keyboard.up("v");
  await ada.selectOption("#speak-to", "channel");
  await quiet(server);
}

const received = (page) => page.evaluate(async () => {
  let packets = 0;
  for (const peer of window.arena.peers.peers.values()) {
    for (const one of (await peer.connection.getStats()).values()) {
      if (one.type === "inbound-rtp" && one.kind === "audio") packets += one.packetsReceived;
    }
  }
  return packets;
});

async function talkDirectly(server, ada, ben, cat) {
  await ada.check("#peer-to-peer");
  await ben.check("#peer-to-peer");
  for (const page of [ada, ben]) await page.waitForFunction(() => window.arena.peers?.isDirect, null, { timeout: 40000 });
  check(true, "two pages are connected directly, by signals through the server");
  await ada.keyboard.down("v");
  await hears(ben, "ada", "from browser to browser");
  const before = await counts(server);
  const packets = await received(ben);
  await until("a second of speech over WebRTC", async () => (await received(ben)) - packets >= PACKETS);
  const after = await counts(server);
  const forwarded = after.forwarded - before.forwarded;
  check(forwarded === 0 && after.ada.received === before.ada.received, `the server forwards ${forwarded} packets meanwhile`);
  await ada.keyboard.up("v");
  await ben.keyboard.down("v");
  await hears(ada, "ben", "from browser to browser");
  await ben.keyboard.up("v");
  const signals = await (await fetch(`${server.url}metrics`)).text();
  check(/^webrtc_signaling_messages_total\{type="answer"\} [1-9]/m.test(signals), "the server counts the signals");

  await cat.check("#peer-to-peer");
  for (const page of [ada, ben, cat]) {
    await page.waitForFunction(() => window.arena.peers?.connected.length === 2, null, { timeout: 40000 });
  }
  check(true, "a third one joins: each is connected with both others");
  await ben.uncheck("#peer-to-peer");
  await cat.uncheck("#peer-to-peer");
  await ada.waitForFunction(() => window.arena.peers.users.length === 0, null, { timeout: 40000 });
  await ada.uncheck("#peer-to-peer");
  await ada.keyboard.down("v");
  await hears(ben, "ada", "through the server again");
  await ada.keyboard.up("v");
}

async function keepPictures(server, ada) {
  const folder = process.env.NECPNET_SCREENSHOTS;
  const page = await openPage(server, "narrow", { viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await switchOn(page);
  await ada.check("#open-microphone");
  await hears(Object.assign(page, { player: "narrow" }), "ada", "on a narrow page");
  await row(page, "ada").waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  check(wide <= 360, `no sideways scrolling at 360 pixels (${wide})`);
  if (folder) {
    await page.locator("#voice").screenshot({ path: join(folder, "voice-narrow-dark.png") });
    await ada.screenshot({ path: join(folder, "voice-light.png") });
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.screenshot({ path: join(folder, "voice-dark.png") });
  }
  await ada.uncheck("#open-microphone");
  check(page.faults.length === 0, "no error in the narrow page" + page.faults.map((one) => "\n  " + one).join(""));
  await page.context().close();
}

async function test() {
  for (const file of ["arena.js", "arena_voice_core.wasm", "voice_worklet.js"]) {
    const path = join(root, "build/wasm/web", file);
    if (!existsSync(path)) throw new Error(`${path} is missing\n  fix: tools/wasm_deps.sh && make wasm`);
  }
  const server = await startServer(["--voice-radius", String(RADIUS)]);
  const pages = [];
  for (const name of ["ada", "ben", "cat"]) pages.push(await openPage(server, name));
  for (const page of pages) await switchOn(page);
  check(true, "three pages have voice: microphone, loudspeaker, groups of the server");
  await talkThroughServer(server, ...pages);
  await talkNearby(server, ...pages);
  await talkDirectly(server, ...pages);
  await keepPictures(server, pages[0]);
  for (const page of pages) check(page.faults.length === 0, "no error in the page" + page.faults.map((one) => "\n  " + one).join(""));
  for (const browser of browsers.values()) await browser.close();
  browsers.clear();
  check((await stop(server)) === 0, "the server ends in order");
}

run(test, 240, async () => {
  for (const browser of browsers.values()) await browser.close();
  rmSync(folder, { recursive: true, force: true });
});
