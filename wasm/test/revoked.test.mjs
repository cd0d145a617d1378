/* revoked.test - a JWT that opened a session of necpnet.v1 over WebSocket is revoked: the browser's client, in Node.js, hears ERR_TOKEN_REVOKED by name;
 * the same user's other JWTs, rotated ones and other users go on. Over several workers. UDP: tests/e2e/server_tokens.test.mjs. */
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { hs256, make, now } from "../../tests/e2e/jwt.mjs";
import { check, root, run, startServer, stop, until } from "../../tests/e2e/programs.mjs";
import { WebSocket } from "./websocket.mjs";

const folder = join(root, "build/wasm/package");
const SECRET = "a secret of thirty-two bytes, at least";

globalThis.crypto ??= webcrypto;

let necpnet;
let core;
let server;
let issued = 0;

const jwt = (sub, more = {}) => make({ alg: "HS256", typ: "JWT" }, { sub, iss: "studio", aud: "arena", exp: now() + 300, iat: now() - 5, jti: `j-${++issued}`, ...more }, hs256(SECRET));

async function connect(token) {
  const client = await necpnet.connect({ core, urls: [`ws://127.0.0.1:${server.tcp_port}/ws`], reconnect: false, credential: async () => token });
  client.ends = [];
  client.on("disconnected", (event) => client.ends.push(event.reason));
  client.on("connectFailed", (event) => client.ends.push("not connected: " + event.reason));
  await until("it is connected", () => client.state === "connected" || client.ends.length);
  check(client.state === "connected", `connects with its JWT (${client.ends})`);
  return client;
}

async function post(path, token, body) {
  const answer = await fetch(`http://127.0.0.1:${server.tcp_port}${path}`, {
    method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return { status: answer.status, json: await answer.json().catch(() => null) };
}

await run(async () => {
  process.env.JWT_SECRET = SECRET;
  necpnet = await import(pathToFileURL(join(folder, "index.js")).href);
  const { default: factory } = await import(pathToFileURL(join(folder, "core.mjs")).href);
  core = await necpnet.loadCore({ factory, wasmBinary: readFileSync(join(folder, "core.wasm")), wasmUrl: "test", WebSocket });
  server = await startServer(["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--jwt-audience", "arena", "--workers", "2",
                              "--bots", "0", "--take-over", "allow", "--store", "memory:"]);
  const [mine, copy, foreign, boss] = [jwt("owner"), jwt("owner"), jwt("other"), jwt("boss", { role: "admin" })];
  const byMine = [await connect(mine), await connect(mine), await connect(mine)];
  const byCopy = await connect(copy);
  const byForeign = await connect(foreign);
  check((await post("/api/v1/tokens/revoke", boss, { token: mine })).status === 204, "the JWT is revoked");
  await until("what it opened ends", () => byMine.every((one) => one.ends.length > 0));
  check(byMine.every((one) => one.ends[0] === "ERR_TOKEN_REVOKED"), `and hears why: ${byMine.map((one) => one.ends[0])}`);
  check(byCopy.state === "connected" && byForeign.state === "connected", "nobody else is touched");
  const rotated = await post("/api/v1/tokens/rotate", copy, {});
  check(rotated.status === 201 || rotated.status === 200, "the other JWT is rotated");
  const byNew = await connect(rotated.json.token);
  check(byCopy.state === "connected", "a rotation is no reason to hang up");
  check((await post("/api/v1/tokens/revoke", boss, { player_id: "owner" })).status === 204, "the user is revoked");
  await until("all of the user ends", () => byCopy.ends.length && byNew.ends.length);
  check(byCopy.ends[0] === "ERR_TOKEN_REVOKED" && byNew.ends[0] === "ERR_TOKEN_REVOKED", `by name: ${[byCopy.ends[0], byNew.ends[0]]}`);
  check(byForeign.state === "connected" && !byForeign.ends.length, "and nobody else");
  for (const one of [...byMine, byCopy, byForeign, byNew]) one.destroy();
  await stop(server);
}, 60);
