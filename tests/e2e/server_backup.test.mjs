// server_backup - back-up and restore as an operator does them (docs/operating.md): `necpnet-server backup FILE` beside a server that is
// being written to, `restore FILE` to a new place, a server on it, and every write that was acknowledged before the back-up began is there.
// What is damaged, strange, newer or in the way is refused with the reason, and nothing is left half done.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import nodeTest, { after } from "node:test";
import { checked } from "./api_description.mjs";
import { hs256, make, now } from "./jwt.mjs";
import { SERVER, count, run, scratch, start, until } from "./server_process.mjs";

const test = count(nodeTest);
const SECRET = "a secret of more than thirty-two bytes!";
const folder = scratch();
const at = (name) => path.join(folder, name);
const options = (database) => ["--mode", "production", "--bind-address", "127.0.0.1", "--jwt-issuer", "studio", "--rate-token", "0", "--rate-admin", "0",
    "--rate-read", "0", "--store", `sqlite:${database}`];
const token = (sub, role = "player", more = {}) => make({ alg: "HS256" }, { sub, role, iss: "studio", exp: now() + 600, iat: now() - 5, ...more }, hs256(SECRET));
const as = (jwt, body) => ({ headers: { Authorization: `Bearer ${jwt}`, ...(body ? { "Content-Type": "application/json" } : {}) }, body: body && JSON.stringify(body) });
after(() => rmSync(folder, { recursive: true, force: true }));

// The verb beside a running server: this process goes on writing.
function runBeside(args) {
    const child = spawn(SERVER, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, said })));
}

const sql = (file, text) => {
    const done = spawnSync("python3", ["-c", "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1])\nc.execute(sys.argv[2])\nc.commit()", file, text], { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
};

test("a back-up taken under load has every write that was acknowledged before, and a new server goes on from it", async () => {
    const database = at("live.db");
    const server = await start(options(database), { JWT_SECRET: SECRET });
    const acknowledged = [];
    let stop = false;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let i = 0; !stop; i++) {
            const jwt = token(`player-${writer}-${i}`, "player", { jti: `${writer}-${i}` });
            const reply = await checked(server.base, "POST", "/api/v1/tokens/revoke", as(jwt, { token: jwt })).catch(() => null);
            if (reply?.status === 204) acknowledged.push(jwt);
        }
    });
    let before = [];
    for (let round = 1; round <= 3; round++) {
        await until("writes", () => acknowledged.length > before.length + 60);
        before = [...acknowledged];
        const done = await runBeside(["backup", at(`backup-${round}.db`), "--store", `sqlite:${database}`]);
        assert.equal(done.code, 0, done.said);
        assert.match(done.said, /backed up to .*backup-\d\.db: \d+ records, schema 2, digest [0-9a-f]{16}\n/);
    }
    await until("the server was written to all the while", () => acknowledged.length > before.length + 20);
    stop = true;
    await Promise.all(writers);
    server.kill("SIGKILL");
    await server.waitEnd();

    const restored = at("restored.db");
    const store = ["--store", `sqlite:${restored}`];
    const done = run(["restore", at("backup-3.db"), ...store]);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /restored from .*: \d+ records, schema 2/);
    const status = run(["migrate", "status", ...store]).stdout;
    assert.match(status, /1 records +applied/);
    assert.ok(!/pending|newer/.test(status), status);
    const second = await start(options(restored), { JWT_SECRET: SECRET });
    try {
        const answers = [];
        for (let i = 0; i < before.length; i += 20) {
            answers.push(...await Promise.all(before.slice(i, i + 20).map((jwt) => checked(second.base, "GET", "/ws/connections", as(jwt)))));
        }
        assert.ok(before.length >= 180);
        assert.deepEqual(answers.filter((one) => one.status !== 401).length, 0, "every revocation is there");
        const audit = await checked(second.base, "GET", "/api/v1/admin/audit?limit=1000", as(token("boss", "admin")));
        assert.equal(audit.status, 200);
        assert.equal((await checked(second.base, "GET", "/health")).json.components.store.status, "ok");
        const late = token("late", "player", { jti: "late" });
        assert.equal((await checked(second.base, "POST", "/api/v1/tokens/revoke", as(late, { token: late }))).status, 204, "and it is written to");
    } finally {
        await second.stop();
    }
});

test("what is damaged, strange, newer or in the way is refused with the reason, and leaves nothing behind", () => {
    const good = at("backup-1.db");
    const whole = readFileSync(good);
    const broken = (name, change) => {
        const bytes = Buffer.from(whole);
        const changed = change(bytes) ?? bytes;
        writeFileSync(at(name), changed);
        return at(name);
    };
    // a byte of a record's body: no page, no index of SQLite's is wrong by that
    const body = whole.indexOf("{\"") + 3;
    assert.ok(body > 100);
    copyFileSync(good, at("newer.db"));
    sql(at("newer.db"), "INSERT INTO migrations VALUES (99, 'tomorrow', 'x')");
    sql(at("strange.db"), "CREATE TABLE cats (name)");
    copyFileSync(good, at("beside.db"));
    writeFileSync(at("beside.db-wal"), "not empty");
    const cases = [
        [broken("flipped.db", (bytes) => { bytes[body] ^= 1; }), /flipped\.db is damaged: its records are not those that were backed up/],
        [broken("page.db", (bytes) => { bytes.fill(0xa5, 4096 * 2, 4096 * 3); }), /page\.db is damaged/],
        [broken("cut.db", (bytes) => bytes.subarray(0, bytes.length - 4096)), /cut\.db is damaged/],
        [broken("half.db", (bytes) => bytes.subarray(0, 1000)), /half\.db is damaged/],
        [broken("text.db", () => Buffer.from("this is a text and no database at all ".repeat(40))), /text\.db is damaged, or no database: file is not a database/],
        [broken("empty.db", () => Buffer.alloc(0)), /empty\.db is a database, but not of necpnet-server/],
        [at("strange.db"), /strange\.db is a database, but not of necpnet-server: it has no migrations/],
        [at("newer.db"), /newer\.db has a newer schema than this program knows/],
        [at("beside.db"), /beside\.db has a write-ahead log beside it/],
        [at("nowhere.db"), /nowhere\.db is not there/],
    ];
    for (const [file, reason] of cases) {
        const done = run(["restore", file, "--store", `sqlite:${at("target.db")}`]);
        assert.equal(done.code, 1, file);
        assert.match(done.stderr, /nothing was restored: /);
        assert.match(done.stderr, reason);
    }
    const occupied = run(["restore", good, "--store", `sqlite:${at("live.db")}`]);
    assert.equal(occupied.code, 1);
    assert.match(occupied.stderr, /live\.db is there: stop the server and move it away first/);
    rmSync(at("live.db"));
    assert.match(run(["restore", good, "--store", `sqlite:${at("live.db")}`]).stderr, /live\.db-wal is there/);
    const again = run(["backup", good, "--store", `sqlite:${at("restored.db")}`]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /no back-up was made: .*backup-1\.db is there already/);
    assert.match(run(["backup", at("x.db"), "--store", "memory:"]).stderr, /a memory store keeps nothing/);
    assert.match(run(["backup", at("x.db"), "--store", `sqlite:${at("absent.db")}`]).stderr, /absent\.db is not there/);
    assert.match(run(["backup", "/nowhere/x.db", "--store", `sqlite:${at("restored.db")}`]).stderr, /no back-up was made: \/nowhere\/x\.db/);
    assert.deepEqual(readdirSync(folder).filter((name) => /target|absent|\.part/.test(name)), [], "nothing half done");
    assert.deepEqual(readFileSync(good), whole, "a back-up is only read");
});

test("a copy that SQLite's own tools made is taken, too, and a back-up holds nothing of who was erased before it", async () => {
    const plain = at("plain.db");
    const copied = spawnSync("python3", ["-c", "import sqlite3,sys\nsqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))", at("restored.db"), plain], { encoding: "utf8" });
    assert.equal(copied.status, 0, copied.stderr);
    const restored = at("from-plain.db");
    assert.equal(run(["restore", plain, "--store", `sqlite:${restored}`]).code, 0);
    const player = "player-to-be-erased-4711";
    const server = await start(options(restored), { JWT_SECRET: SECRET });
    try {
        const mine = token(player);
        await checked(server.base, "GET", "/api/v1/admin/audit", as(mine)); // refused, and audited by name
        const backups = [at("with.db"), at("without.db")];
        const back = (file) => runBeside(["backup", file, "--store", `sqlite:${restored}`]);
        assert.equal((await back(backups[0])).code, 0);
        assert.equal((await checked(server.base, "DELETE", `/api/v1/players/${player}/data`, as(mine))).status, 200);
        assert.equal((await back(backups[1])).code, 0);
        const [held, holds] = backups.map((file) => readFileSync(file).includes(player));
        assert.deepEqual([held, holds], [true, false]);
    } finally {
        await server.stop();
    }
});
