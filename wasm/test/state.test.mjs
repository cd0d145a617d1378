/* state.test - what JavaScript does with a world beside looking at it: writes by authority and into a shared entity, with clamps, refusals
 * and conflicts; objects, variables, arrays and lists; the list of changes. Two clients in Node.js against tests/ws_world.c. */
import { existsSync, readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, check, root, run, sleep, start, stop, until } from "../../tests/e2e/programs.mjs";
import { WebSocket } from "./websocket.mjs";

const folder = join(root, "build/wasm/package");
const program = join(build, "tests/ws_world");

globalThis.crypto ??= webcrypto;

const schema = [
  { name: "door", id: 1, fields: [
    { name: "open", id: 1, kind: "bool" },
    { name: "users", id: 2, kind: "integer", min: 0, max: 100000, count: 6, bounded: true },
    { name: "label", id: 3, kind: "string", count: 16 },
  ] },
  { name: "cart", id: 2, fields: [
    { name: "position", id: 1, kind: "vec2", min: -1000, max: 1000, step: 0.0625 },
    { name: "label", id: 2, kind: "string", count: 16 },
    { name: "load", id: 3, kind: "integer", min: -100, max: 100, count: 5, bounded: true },
    { name: "wear", id: 4, kind: "integer", min: 0, max: 60000, serverWrites: true },
  ] },
  { name: "match", id: 3, fields: [
    { name: "phase", id: 1, kind: "enum", max: 3 },
    { name: "score", id: 2, kind: "integer", min: 0, max: 1000, count: 2 },
  ] },
  { name: "bag", id: 4, fields: [
    { name: "coins", id: 1, kind: "integer", min: 0, max: 1000000 },
    { name: "keys", id: 2, kind: "bytes", count: 4 },
  ] },
];

let necpnet;
let core;
let port;
const clients = [];

async function join_(changes) {
  const client = await necpnet.connect({ core, urls: [`ws://127.0.0.1:${port}/ws`], open: true, schema, changes });
  client.heard = { authority: [], write: [], variable: [], entered: [], left: [], disconnected: [] };
  for (const name of Object.keys(client.heard)) client.on(name, (event) => client.heard[name].push(event));
  clients.push(client);
  await until("an own cart with authority", () => {
    client.frame();
    client.cart = client.entities.find((one) => one.type === "cart" && client.hasAuthority(one.id));
    return client.cart && client.entities.some((one) => one.type === "door") && client.object("bag") && client.object("match");
  });
  client.door = client.entities.find((one) => one.type === "door").id;
  return client;
}

/** Until both show it. */
async function agree(what, test) {
  await until(what, () => clients.every((client) => (client.frame(), test(client))));
}

async function checkOwn(a, b) {
  check(a.heard.authority.some((one) => one.state === "given" && one.type === "cart" && one.id === a.cart.id), "the event `authority` gives it the cart");
  check(a.cart.position.join() === "1,2" && a.cart.load.join() === "7,-8" && a.cart.wear === 3, "a list and a vector are read");
  const id = a.cart.id;
  for (let i = 0; i < 20; i++) {
    a.write(id, { position: [1 + i, 2 - i / 2], load: [i, -i, 5].slice(0, 1 + (i % 3)), wear: 9 });
    a.frame();
    if (i === 0) check(a.entity(id).position[0] === 1 && a.entity(id).load.join() === "0", "a write is shown at once");
    await sleep(10);
  }
  await agree("the other sees the cart where its owner put it", (client) => {
    const cart = client.entity(id);
    return cart && cart.position.join() === "20,-7.5" && cart.load.join() === "19,-19" && cart.wear === 3;
  });
  check(true, "both see the last of 20 writes; the server's field stays the server's");
  check(!b.hasAuthority(id) && reasonOf(() => b.releaseAuthority(id)) === "ERR_NOT_FOUND", "the other has no authority over it");
}

function reasonOf(what) {
  try {
    what();
    return "nothing";
  } catch (error) {
    return error.reason ?? error.constructor.name;
  }
}

async function checkVerdicts(a) {
  const id = a.cart.id;
  a.heard.write.length = 0;
  a.write(id, { position: [500, -7.5] });
  await until("the clamp is told", () => (a.frame(), a.heard.write.some((one) => one.verdict === "clamped" && one.id === id)));
  check(a.entity(id).position.join() === "30,-7.5", "a write too far is clamped, and shown as the server has it");
  a.heard.write.length = 0;
  a.write(id, { label: "forbidden" });
  await until("the refusal is told", () => (a.frame(), a.heard.write.some((one) => one.verdict === "refused")));
  check(a.entity(id).label === "new", "a refused write is taken back");
  a.sendNamed("pull", "");
  await agree("the server's own hand is seen", (client) => client.entity(id).position.join() === "5,5" && client.entity(id).wear === 4);
  check(true, "the server pulls the cart back, and both see it");
  check(reasonOf(() => a.write(id, { nothing: 1 })) === "TypeError", "a field that is not there is named");
  check(reasonOf(() => a.write(0x10fff, { label: "x" })) === "ERR_NOT_FOUND", "an entity that is not there is named");
}

async function checkShared(a, b) {
  const door = a.door;
  check(a.entity(door).users.join() === "42" && a.entity(door).label === "a door", "the shared door");
  for (const client of [a, b]) client.heard.write.length = 0;
  a.frame();
  b.frame();
  const numbers = [a.write(door, { label: "by a", users: [1, 2] }), b.write(door, { label: "by b", users: [3] })];
  await until("both are answered", () => [a, b].every((client) => (client.frame(), client.heard.write.length > 0)));
  const verdicts = [a, b].map((client) => client.heard.write[0].verdict);
  check(verdicts.slice().sort().join() === "conflict,written", `of two at once one is written, one is in conflict: ${verdicts}`);
  check([a, b].every((client, i) => client.heard.write[0].number === numbers[i]), "the answers have the numbers of the writes");
  const winner = verdicts.indexOf("written");
  await agree("both see the faster one's", (client) => client.entity(door).label === ["by a", "by b"][winner] &&
    client.entity(door).users.join() === ["1,2", "3"][winner]);
  const slower = [a, b][1 - winner];
  slower.heard.write.length = 0;
  slower.write(door, { users: [...slower.entity(door).users, 9] });
  await until("written after all", () => (slower.frame(), slower.heard.write.some((one) => one.verdict === "written")));
  await agree("both see the second try", (client) => client.entity(door).users.join() === ["1,2,9", "3,9"][winner]);
  check(true, "from what it sees then the slower one writes, too");
}

async function checkTransfer(a, b) {
  const id = a.cart.id;
  b.heard.authority.length = a.heard.authority.length = 0;
  a.releaseAuthority(id);
  await until("given back", () => (a.frame(), a.heard.authority.some((one) => one.state === "lost")));
  check(!a.hasAuthority(id) && reasonOf(() => a.releaseAuthority(id)) === "ERR_NOT_FOUND", "authority is given back");
  b.requestAuthority(id);
  await until("given to the other", () => (b.frame(), b.heard.authority.some((one) => one.state === "given" && one.id === id)));
  b.write(id, { label: "taken" });
  await agree("both see the new owner's write", (client) => client.entity(id).label === "taken");
  check(b.hasAuthority(id) && reasonOf(() => b.requestAuthority(id)) === "ERR_ALREADY_EXISTS", "the other asks for it, gets it, and writes");
  check(reasonOf(() => b.requestAuthority(0x10fff)) === "ERR_NOT_FOUND", "what is not there cannot be asked for");
}

async function checkObjects(a, b) {
  check(a.object("match").phase === 0 && a.object("match").score.join() === "0,0", "the world's object, with an array");
  check(a.object("match").id === b.object("match").id && a.object("bag").id !== b.object("bag").id, "each has a bag of its own");
  check(reasonOf(() => a.object("nothing")) === "TypeError", "a type that is not there is named");
  a.sendNamed("round", "");
  a.sendNamed("reward", "");
  await agree("the match goes on for both", (client) => client.object("match").score.join() === "0,1");
  await until("the bag", () => (a.frame(), a.object("bag").coins === 50));
  check(Buffer.from(a.object("bag").keys).toString("hex") === "01020304" && b.object("bag").coins === 0, "a reward reaches one bag alone");
}

async function checkVariables(a, b) {
  check(a.variable("map") === "harbour" && a.variable("nothing") === undefined, "a variable of the world");
  const teams = [a, b].map((client) => client.variable("team", "session"));
  check(new Set(teams).size === 2 && teams.every((team) => team >= 1) && a.variable("team") === undefined, `a variable of each session: ${teams}`);
  check(a.heard.variable.some((one) => one.scope === "world" && one.key === "map" && one.value === "harbour"), "the event `variable`");
  await until("the reward's variables", () => a.variable("yes", "session") !== undefined);
  check(a.variable("big", "session") === 9007199254740993n && a.variable("half", "session") === 0.5 && a.variable("yes", "session") === true &&
    Buffer.compare(Buffer.from(a.variable("blob", "session")), Buffer.from([0, 1, 2])) === 0, "every type: bigint, number, bool, bytes");
  check(b.variable("big", "session") === undefined, "the other session has none of it");
  await until("the round is counted", () => [a, b].every((client) => client.variable("round") === 1));
  a.sendNamed("forget", "");
  await until("a removal is told", () => b.heard.variable.some((one) => one.key === "map" && one.value === null));
  check(b.variable("map") === undefined, "what is removed is gone");
}

async function checkChanges() {
  const c = await join_(true);
  check(c.heard.entered.some((one) => one.id === c.cart.id && one.type === "cart"), "entered is told with changes, too");
  await until("nothing changes any more", () => (c.frame(), c.changes.changed.size === 0));
  c.write(c.cart.id, { label: "moved", load: [] });
  c.frame();
  check(c.changes.changed.get(c.cart.id)?.join() === "label,load" && c.changes.changed.size === 1, "the fields of a write are in the changes");
  c.frame();
  check(!c.changes.changed.has(c.cart.id), "once");
  clients[0].sendNamed("open", "");
  await until("the door", () => (c.frame(), c.changes.changed.get(c.door)?.includes("open")));
  check(c.changes.changed.get(c.door).join() === "open" && c.entity(c.door).open, "what the server changed, by the names of its fields");
  const gone = clients[1].cart.id;
  clients[1].destroy();
  await until("left", () => (c.frame(), c.changes.left.includes(gone)));
  check(c.heard.left.some((one) => one.id === gone && one.type === "cart"), "who goes is in the changes, and told");
}

async function test() {
  if (!existsSync(program)) throw new Error(`${program} is missing\n  fix: make build`);
  necpnet = await import(pathToFileURL(join(folder, "index.js")).href);
  const { default: factory } = await import(pathToFileURL(join(folder, "core.mjs")).href);
  core = await necpnet.loadCore({ factory, wasmBinary: readFileSync(join(folder, "core.wasm")), WebSocket });
  const server = start(program, []);
  port = Number((await until("the server serves", () => server.output.match(/serving on port (\d+)/)))[1]);
  const [a, b] = [await join_(), await join_()];
  for (const part of [checkOwn, checkVerdicts, checkShared, checkTransfer, checkObjects, checkVariables, checkChanges]) {
    await part(a, b).catch((error) => check(false, `${part.name}: ${error.stack}`));
  }
  check(clients.every((client) => client.heard.disconnected.length === 0), "nobody was disconnected");
  for (const client of clients) client.destroy();
  check((await stop(server)) === 0, "the server ends in order");
}

await run(test, 60);
