/* voice.test - the core with voice without a browser: its size, what it refuses, and speech from one client to another through a real
 * server, with a clock of the test in the place of the sound card's. Microphones and loudspeakers: tests/e2e/voice.test.mjs. */
import { existsSync, readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { check, root, run, startServer, stop, until } from "../../tests/e2e/programs.mjs";
import { WebSocket } from "./websocket.mjs";

const folder = join(root, "build/wasm/package");
const WASM_GZIP_BYTES_MAX = 215000; /* the goal is 150,000, not kept: libopus alone has 110,000 */
const PORTION = 480;
const ISSUER = "necpnet development";

globalThis.crypto ??= webcrypto;

let necpnet;
let server;
const clients = [];

async function load(name, socket = WebSocket) {
  const { default: factory } = await import(pathToFileURL(join(folder, `${name}.mjs`)).href);
  return necpnet.loadCore({ factory, wasmBinary: readFileSync(join(folder, `${name}.wasm`)), wasmUrl: name, WebSocket: socket });
}

function tokenOf(subject) {
  return async () => {
    const answer = await fetch(`${server.url}api/v1/connect-tokens`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ player: subject, subject, transport: "websocket" }),
    });
    return (await answer.json()).token;
  };
}

/** A client whose sound card is the test: play() gives it 10 ms of the microphone, and what was played meanwhile is in `heard`. */
async function talker(core, subject, voice = {}) {
  const client = await necpnet.connect({ core, token: tokenOf(subject), voice });
  const card = { client, heard: [], events: [], played: 0, cost: 0, portions: 0 };
  client.voice.node = { port: { postMessage: (portion) => portion && card.heard.push(portion) }, disconnect() {}, context: { close: async () => {} } };
  for (const name of ["joined", "speaking", "silent", "talking", "quiet", "keyMissing"]) client.voice.on(name, (event) => card.events.push({ name, ...event }));
  card.play = (sound) => {
    const began = performance.now();
    client.voice.tick({ sound, played: card.played, missed: 0 });
    card.cost += performance.now() - began;
    card.portions++;
    card.played += PORTION;
  };
  clients.push(client);
  await until(`${subject} is in a group`, () => client.voice.groups.size > 0);
  return card;
}

/** How much of a tone is in the last portions: its amplitude on the left. */
function toneIn(portions, hz) {
  const samples = portions.slice(-20).flatMap((portion) => Array.from(portion).filter((_, i) => i % 2 === 0));
  let [re, im] = [0, 0];
  samples.forEach((sample, i) => {
    re += sample * Math.cos((2 * Math.PI * hz * i) / 48000);
    im += sample * Math.sin((2 * Math.PI * hz * i) / 48000);
  });
  return (2 * Math.hypot(re, im)) / Math.max(1, samples.length);
}

/** With the swell of speech: the server silences who only hums. */
function tone(at, hz) {
  return Float32Array.from({ length: PORTION }, (_, i) => {
    const seconds = (at * PORTION + i) / 48000;
    return 0.4 * Math.abs(Math.sin(4 * Math.PI * seconds)) * Math.sin(2 * Math.PI * hz * seconds);
  });
}

/** Both sound cards go on in real time until something is true. */
async function playUntil(what, speaker, others, hz, test) {
  const began = performance.now();
  let at = 0;
  await until(what, () => {
    for (; at * 10 < performance.now() - began; at++) {
      speaker.play(tone(at, hz));
      for (const other of others) other.play(null);
    }
    return test();
  }, 40); /* sound goes on in real time: a loaded machine is late with it */
}

const named = (card, name) => card.events.filter((one) => one.name === name);

async function checkSpeech(core) {
  const ada = await talker(core, "ada", { activation: "pushToTalk" });
  const ben = await talker(core, "ben");
  const ids = await Promise.all(["ada", "ben"].map((subject) => necpnet.userOf(subject, ISSUER)));
  await playUntil("a second passes", ada, [ben], 440, () => ada.portions > 100);
  check(named(ada, "talking").length === 0 && toneIn(ben.heard, 440) < 0.001, "nothing is sent before the key is down");
  ada.client.voice.talking = true;
  await playUntil("ben hears the tone", ada, [ben], 440, () => toneIn(ben.heard, 440) > 0.1);
  check(named(ben, "speaking")[0].user === ids[0], `ben hears 440 Hz of ${ids[0]}`);
  check(toneIn(ben.heard, 660) < toneIn(ben.heard, 440) / 10, "and no other tone");
  check(named(ada, "talking").length === 1 && ben.client.voice.speaking.has(ids[0]), "ada talks, ben knows who speaks");
  ben.client.voice.setVolume(ids[0], 0);
  await playUntil("ada is muted for ben", ada, [ben], 440, () => toneIn(ben.heard, 440) < 0.001);
  ben.client.voice.setVolume(ids[0], 2);
  await playUntil("twice as loud as before", ada, [ben], 440, () => toneIn(ben.heard, 440) > 0.36);
  check(true, "volume 0 is silence, volume 2 louder");
  ada.client.voice.talking = false;
  await playUntil("ada is quiet", ada, [ben], 440, () => named(ada, "quiet").length === 1 && named(ben, "silent").length > 0);
  const { packetsReceived, unitsDecoded } = ben.client.voice.statistics;
  check(packetsReceived > 0 && unitsDecoded > 0, `ben received ${packetsReceived} packets`);
  const [said, heard] = [ada, ben].map((card) => (card.cost / card.portions).toFixed(3));
  console.log(`10 ms of speech cost the speaker ${said} ms, the listener ${heard} ms, updates of the client included`);
}

/** What a client gives its WebSocket, as one text of hexadecimal digits. */
let sent = "";
class Tapped extends WebSocket {
  send(data) {
    sent += Buffer.from(data).toString("hex");
    super.send(data);
  }
}

/** Two with a key hear each other, the third hears nothing and is told why; what leaves the client is sealed. */
async function checkKeys(tapped, core) {
  const eva = await talker(tapped, "eva", { activation: "always" });
  const [fay, gus] = [await talker(core, "fay"), await talker(core, "gus")];
  const others = [fay, gus];
  const id = await necpnet.userOf("eva", ISSUER);
  const key = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1);
  await playUntil("both hear eva in clear", eva, others, 550, () => others.every((one) => toneIn(one.heard, 550) > 0.1));
  check(named(gus, "keyMissing").length === 0, "speech in clear wants no key");
  for (const one of [eva, fay]) one.client.voice.setKey(7, key);
  sent = "";
  await playUntil("gus is told that he lacks key 7", eva, others, 550, () => named(gus, "keyMissing").length > 0);
  check(named(gus, "keyMissing")[0].user === id && named(gus, "keyMissing")[0].keyId === 7, `gus lacks key 7 of ${id}`);
  const refused = gus.client.voice.statistics.packetsRefused;
  await playUntil("fay, who has the key, hears eva, and gus nothing", eva, others, 550, () =>
    gus.client.voice.statistics.packetsRefused > refused + 25 && toneIn(gus.heard, 550) < 0.001 && toneIn(fay.heard, 550) > 0.1);
  check(true, "fay, who has the key, hears eva, and gus nothing");
  /* SFrame's header behind each VOICE frame's: the long form, key 7 and the speaker's number */
  const number = /f8(07[0-9a-f]{14})00/.exec(sent)?.[1];
  check(number !== undefined && sent.split(new RegExp(`f[89]${number}`)).length > 25, "what leaves eva's client is sealed, packet by packet");
  gus.client.voice.setKey(7, key.map((byte) => byte ^ 1));
  await playUntil("a wrong key opens nothing", eva, others, 550, () => gus.client.voice.statistics.packetsRefused > refused + 60);
  check(toneIn(gus.heard, 550) < 0.001, "gus hears nothing by a wrong key");
  gus.client.voice.setKey(7, key);
  await playUntil("gus hears with the key", eva, others, 550, () => toneIn(gus.heard, 550) > 0.1);
  eva.client.voice.setKey(8, key.map((byte) => byte + 1)); /* somebody left: a new one */
  for (const one of others) one.client.voice.setKey(8, key.map((byte) => byte + 1));
  await playUntil("both hear with the new key", eva, others, 550, () => others.every((one) => toneIn(one.heard, 550) > 0.1));
  for (const [what, call] of [["a short key", () => eva.client.voice.setKey(1, key.slice(1))], ["key 0", () => eva.client.voice.setKey(0, key)], ["key 256", () => eva.client.voice.setKey(256, key)]]) {
    let why = null;
    try {
      call();
    } catch (error) {
      why = error;
    }
    check(why !== null, `${what} is refused: ${why?.message}`);
  }
  eva.client.voice.setKey(8, null);
  gus.client.voice.setKey(8, null);
  await playUntil("in clear again", eva, others, 550, () => toneIn(gus.heard, 550) > 0.1);
  for (const one of [eva, fay, gus]) one.client.destroy();
  clients.length -= 3;
}

async function checkRefusals(small, core) {
  const why = async (options) => {
    try {
      clients.push(await necpnet.connect({ token: tokenOf("x"), ...options }));
      return "nothing";
    } catch (error) {
      return error.reason ?? error.message;
    }
  };
  check(/without voice/.test(await why({ core: small, voice: true })), "a core without voice says so");
  check(/frames_ms|framesMs/.test(await why({ core, voice: { settings: { framesMs: 20 } } })), "a setting that there is not is named");
  check((await why({ core, voice: { settings: { frameMs: 30 } } })) === "ERR_BAD_CONFIG", "frames of 30 ms: ERR_BAD_CONFIG");
  check((await why({ core, voice: { activation: "shouting" } })) !== "nothing", "an unknown activation is refused");
  const { voice } = clients[0];
  for (const [what, call] of [["volume 5", () => voice.setVolume("0123456789abcdef", 5)], ["a group that one is not in", () => voice.setGroup(4711)],
    ["a user that is none", () => voice.setVolume("ada", 1)]]) {
    let refused = null;
    try {
      call();
    } catch (error) {
      refused = error;
    }
    check(refused !== null, `${what} is refused: ${refused?.message}`);
  }
}

async function test() {
  const path = join(folder, "voice_core.wasm");
  if (!existsSync(path)) throw new Error(`${path} is missing\n  fix: tools/wasm_deps.sh, then make wasm`);
  const wasm = readFileSync(path);
  const gzip = gzipSync(wasm, { level: 9 }).length;
  check(gzip < WASM_GZIP_BYTES_MAX, `voice_core.wasm ${wasm.length} bytes, gzip ${gzip}, brotli ${brotliCompressSync(wasm).length}`);
  necpnet = await import(pathToFileURL(join(folder, "index.js")).href);
  const [small, core] = [await load("core"), await load("voice_core")];
  server = await startServer();
  await checkSpeech(core);
  await checkKeys(await load("voice_core", Tapped), core);
  await checkRefusals(small, core);
  for (const client of clients) client.destroy();
  const bytes = core.module.HEAPU8.length;
  for (let i = 0; i < 50; i++) (await necpnet.connect({ core, token: async () => "unused", voice: true })).destroy();
  check(core.module.HEAPU8.length === bytes, `50 clients with voice come and go in ${bytes} bytes`);
  check((await stop(server)) === 0, "the server ends in order");
}

await run(test, 240);
