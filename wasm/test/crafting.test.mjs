/* crafting.test - crafting progress foretold by the npm package. Packets are written here from docs/crafting.md, by a writer of its own;
 * the JSON comes from a real server, whose every message must be what was foretold before it came. Times are the server's: nothing
 * here depends on how fast the machine is. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { check, root, run, startServer, stop, until } from "../../tests/e2e/programs.mjs";
import { WebSocket } from "./websocket.mjs";

const { CraftingTracks } = await import(pathToFileURL(join(root, "build/wasm/package/index.js")));
const KIND = { whole: 0, delta: 1, materials: 2, someMaterials: 3 };

/** Bits, the lowest first. */
function bits(...fields) {
  const list = fields.flatMap(([value, count]) => Array.from({ length: count }, (_, i) => Number(BigInt(value) >> BigInt(i) & 1n)));
  const bytes = new Uint8Array(Math.ceil(list.length / 8));
  list.forEach((bit, i) => (bytes[i >> 3] |= bit << (i & 7)));
  return bytes;
}

const head = (kind, follow, sequence) => [[kind, 2], [follow, 6], [sequence, 16]];
const whole = (follow, sequence, { status = 1, speed = 1000, timeUs, durationMs, workMs, width = 32 }) =>
  bits(...head(KIND.whole, follow, sequence), [status, 3], [1, 7], [speed, 14], [timeUs % 2 ** 32, 32], [width - 1, 6], [durationMs, width], [workMs, width]);
const delta = (follow, sequence, base, passedUs, offMs = 0) =>
  bits(...head(KIND.delta, follow, sequence), [base & 0xff, 8], [passedUs, 23], ...(offMs ? [[16, 5], [offMs < 0 ? 1 : 0, 1], [Math.abs(offMs), 16]] : [[0, 5]]));

const near = (a, b, by = 1e-6) => Math.abs(a - b) <= by;

function packets() {
  const tracks = new CraftingTracks();
  const timeUs = 4294967295 - 500000; // the clock's low bits wrap while it goes on
  check(tracks.take(whole(3, 1, { timeUs, durationMs: 10000, workMs: 2000 }), 1000) === 3, "a whole update is taken");
  check(near(tracks.predictAt(3, timeUs), 0.2), "progress stands where it was told");
  check(near(tracks.predictAt(3, timeUs + 3000000), 0.5), "and goes on without a packet");
  check(tracks.predictAt(3, timeUs + 60000000) === 1, "not beyond its end");
  check(near(tracks.predictAt(3, timeUs - 60000000), 0.2), "not before its time");
  check(near(tracks.predict(3, 2000), 0.3), "on our own clock as well");
  check(tracks.take(delta(3, 2, 1, 1000000, -500), 2000) === 3 && near(tracks.predictAt(3, timeUs + 1000000), 0.25), "a delta tells how far off that was");
  check(tracks.take(delta(3, 2, 1, 1000000, 700), 2000) === null && near(tracks.predictAt(3, timeUs + 1000000), 0.25), "an older one is left out");
  check(tracks.take(delta(3, 3, 9, 1000000), 2000) === null, "so is one that builds upon what did not come");
  check(tracks.take(whole(3, 4, { timeUs: timeUs + 2000000, speed: 2000, durationMs: 10000, workMs: 4000 }), 3000) === 3 &&
    near(tracks.predictAt(3, timeUs + 3000000), 0.6), "another speed");
  check(tracks.take(whole(3, 5, { timeUs: timeUs + 3000000, status: 2, durationMs: 10000, workMs: 6000 }), 4000) === 3 &&
    near(tracks.predict(3, 90000), 0.6), "a pause stands still");
  check(tracks.take(whole(4, 65535, { timeUs, durationMs: 100, workMs: 0 }), 4000) === 4 && tracks.take(whole(4, 2, { timeUs, durationMs: 100, workMs: 50 }), 4000) === 4 &&
    tracks.take(whole(4, 65535, { timeUs, durationMs: 100, workMs: 0 }), 4000) === null && near(tracks.get(4).workMs, 50), "sequences wrap");
  const full = bits(...head(KIND.materials, 3, 6), [2, 6], [4, 5], [5, 4], [0, 4], [9, 4], [3, 4]);
  const some = bits(...head(KIND.someMaterials, 3, 7), [2, 6], [4, 5], [1, 2], [7, 4]);
  check(tracks.take(some, 4000) === null, "changed materials before the whole are left out");
  check(tracks.take(full, 4000) === 3 && JSON.stringify(tracks.get(3).materials.map((one) => [one.required, one.available])) === "[[5,0],[9,3]]", "materials");
  check(tracks.take(some, 4000) === 3 && tracks.get(3).materials[0].available === 7 && tracks.get(3).materials[1].available === 3, "those that changed");
  const good = whole(5, 1, { timeUs, durationMs: 100, workMs: 0 });
  check(Array.from(good).every((_, i) => tracks.take(good.slice(0, i), 4000) === null) && tracks.get(5) === undefined, "no packet that is cut is taken");
  let state = 1; // and rubbish does no harm
  for (let n = 0; n < 20000; n++) {
    const bytes = new Uint8Array(n % 24).map(() => (state = (state * 1103515245 + 12345) & 0x7fffffff) >> 16);
    tracks.take(bytes, 4000);
  }
  for (let key = 0; key < 64; key++) {
    const progress = tracks.predict(key, 5000);
    if (!(progress >= 0 && progress <= 1)) check(false, `progress of ${key}`);
  }
  tracks.drop(3);
  check(tracks.get(3) === undefined && tracks.predict(3, 5000) === 0, "a dropped one is gone");
}

function shown() {
  const tracks = new CraftingTracks();
  tracks.take(whole(1, 1, { timeUs: 0, durationMs: 100000, workMs: 10000 }), 0);
  check(near(tracks.show(1, 0), 0.1), "the first is shown as it is");
  tracks.take(delta(1, 2, 1, 1000000, -1000), 1000); // 1 % behind what was foretold
  const held = tracks.show(1, 1000);
  check(near(held, 0.1), "a little back is not shown");
  check(near(tracks.show(1, 1100), held, 0.002) && tracks.show(1, 1100) >= held, "it stands until progress is there");
  tracks.take(delta(1, 3, 1, 2000000, 5000), 2000); // 5 % ahead
  const before = tracks.show(1, 2000);
  let last = before;
  for (let ms = 2016; ms <= 4000; ms += 16) {
    const now = tracks.show(1, ms);
    if (now < last) check(false, "it never goes back");
    last = now;
  }
  check(near(last, tracks.predict(1, 4000), 0.003), "it catches up");
  tracks.take(whole(1, 4, { timeUs: 4000000, durationMs: 100000, workMs: 5000 }), 4000); // far back: begun anew
  check(near(tracks.show(1, 4000), 0.05), "a large step is shown at once");
}

async function overTheServer() {
  const server = await startServer(["--bots", "0"]);
  const base = `http://127.0.0.1:${server.tcp_port}`;
  const post = async (path, body) => {
    const answer = await fetch(base + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  await post("/api/v1/crafting/sessions", { player_id: "ada", session_id: "s1", recipe: "sword", duration_ms: 3600000, materials: { iron: 5 } });
  const tracks = new CraftingTracks();
  const socket = new WebSocket(`ws://127.0.0.1:${server.tcp_port}/ws/crafting/s1?hz=60&player=ada`, []);
  let deltas = 0;
  let wrong = 0;
  let speed = 0;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(typeof data === "string" ? data : Buffer.from(data).toString());
    if (message.progress && !message.full) {
      deltas++;
      const foretold = tracks.predictAt("s1", message.timestamp_us);
      if (Math.abs(foretold * 1e6 - message.progress.progress_ppm) > 2) wrong++;
    }
    tracks.takeMessage(message);
    speed = tracks.get("s1")?.speed;
  };
  await until("deltas", () => deltas >= 20, 20);
  check(wrong === 0, "every delta is what was foretold");
  check(tracks.get("s1").materials.some((one) => one.material === "iron" && one.required === 5), "materials by name");
  await post("/udp/sessions/s1/progress", { progress_ppm: 500000, speed_permille: 4000 });
  await until("the new speed", () => speed === 4000, 20);
  deltas = wrong = 0;
  await until("deltas of the new course", () => deltas >= 20, 20);
  check(wrong === 0, "and of the new course");
  check(tracks.predict("s1") >= 0.5 && tracks.predict("s1") < 0.6, "half is done");
  socket.close();
  check((await stop(server)) === 0, "the server ends in order");
}

await run(async () => {
  packets();
  shown();
  await overTheServer();
}, 60);
