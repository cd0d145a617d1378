// server_process.mjs - starts necpnet-server for a test, on ports of the system's choice, and ends it; raw HTTP for hostile
// tests. Every wait is bounded.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export const BUILD = process.env.NECPNET_BUILD ?? (existsSync("build/release/bin/necpnet-server") ? "build/release" : "build/dev");
export const SERVER = path.resolve(BUILD, "bin/necpnet-server");
const READY_MS = 15000;
const END_MS = 15000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// within - what the promise gives, or fallback after ms (a function is called: it may throw). No timer outlives it: a test file ends when
// its last test has.
export async function within(promise, ms, fallback = null) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, ms))).then(() => (typeof fallback === "function" ? fallback() : fallback));
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// until - calls check until it gives something true; throws after ms.
export async function until(what, check, ms = 10000) {
    const ends = Date.now() + ms;
    for (;;) {
        const value = await check();
        if (value) return value;
        if (Date.now() > ends) throw new Error(`waited ${ms} ms for ${what}`);
        await sleep(20);
    }
}

export function scratch() {
    return mkdtempSync(path.join(os.tmpdir(), "necpnet-server-"));
}

const cleanEnvironment = () => {
    const kept = {};
    for (const [name, value] of Object.entries(process.env)) {
        if (!/^(NECPNET_|SERVER_|JWT_|CORS_|LOG_|METRICS_)/.test(name)) kept[name] = value;
    }
    return kept;
};

// run - runs the server to its end: { code, signal, stdout, stderr }.
export function run(args, env = {}) {
    const done = spawnSync(SERVER, args, { env: { ...cleanEnvironment(), ...env }, encoding: "utf8", timeout: END_MS });
    return { code: done.status, signal: done.signal, stdout: done.stdout, stderr: done.stderr };
}

// start - a running server: { child, pid, port, udpPort, base, stdout(), stderr(), kill(signal), ended, stop() }.
export async function start(args = [], env = {}) {
    const folder = scratch();
    const ready = path.join(folder, "ready.json");
    const child = spawn(SERVER, ["--port", "0", "--udp-port", "0", "--ready-file", ready, ...args],
                        { env: { ...cleanEnvironment(), NECPNET_LOG_LEVEL: "debug", NECPNET_STORE: "memory:", ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve({ code, signal })));
    let over = null;
    ended.then((how) => (over = how));
    const onExit = () => child.kill("SIGKILL");
    process.on("exit", onExit);
    const cleanUp = () => {
        process.off("exit", onExit);
        rmSync(folder, { recursive: true, force: true });
    };
    try {
        await until("the server", () => {
            if (over) throw new Error(`the server ended at once (${over.code}): ${stderr}`);
            return existsSync(ready);
        }, READY_MS);
    } catch (error) {
        child.kill("SIGKILL");
        cleanUp();
        throw error;
    }
    const facts = JSON.parse(readFileSync(ready, "utf8"));
    const server = {
        child, ready, facts, pid: facts.pid, port: facts.tcp_port, udpPort: facts.udp_port,
        base: `http://127.0.0.1:${facts.tcp_port}`,
        stdout: () => stdout,
        stderr: () => stderr,
        kill: (signal) => child.kill(signal),
        // waitEnd - how it ended, within ms.
        async waitEnd(ms = END_MS) {
            const how = await within(ended, ms);
            if (!how) throw new Error(`the server did not end within ${ms} ms: ${stderr}`);
            return how;
        },
        async stop() {
            child.kill("SIGTERM");
            const how = await within(ended, END_MS);
            if (!how) child.kill("SIGKILL");
            cleanUp();
            if (!how) throw new Error("the server did not stop on SIGTERM: " + stderr);
            if (/(ERROR|WARNING): (Address|Undefined|Thread|Leak)Sanitizer|runtime error:/.test(stderr)) throw new Error(stderr);
            return how;
        },
    };
    return server;
}

// connect - a TCP connection: { write, end, text(), closed, destroy }.
export function connect(port) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(port, "127.0.0.1");
        let received = Buffer.alloc(0);
        const closed = new Promise((done) => socket.on("close", () => done(true)));
        socket.on("data", (data) => (received = Buffer.concat([received, data])));
        socket.on("error", (error) => reject(error)); // after connecting: the close tells
        socket.on("connect", () => resolve({
            socket, closed,
            write: (bytes) => socket.write(bytes),
            text: () => received.toString("latin1"),
            destroy: () => socket.destroy(),
        }));
    });
}

// exchange - writes bytes, waits until the server closes, gives all that it said.
export async function exchange(port, bytes, ms = 10000) {
    const connection = await connect(port);
    connection.write(bytes);
    const closed = await within(connection.closed, ms, false);
    connection.destroy();
    if (!closed) throw new Error(`the server did not close within ${ms} ms; it said: ${connection.text()}`);
    return connection.text();
}

// answer - the first answer in a text: { status, headers, body, rest }.
export function answer(text) {
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) throw new Error("no whole head in: " + JSON.stringify(text));
    const [first, ...lines] = text.slice(0, end).split("\r\n");
    const headers = {};
    for (const line of lines) headers[line.slice(0, line.indexOf(":")).toLowerCase()] = line.slice(line.indexOf(":") + 1).trim();
    const length = Number(headers["content-length"] ?? 0);
    const body = text.slice(end + 4, end + 4 + length);
    return { status: Number(first.split(" ")[1]), headers, body, rest: text.slice(end + 4 + length) };
}

// listeners - the TCP ports on which a process listens, from /proc.
export function listeners(pid) {
    const inodes = new Set();
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        try {
            const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
            if (match) inodes.add(match[1]);
        } catch {
            // closed meanwhile
        }
    }
    const ports = [];
    for (const file of ["tcp", "tcp6"]) {
        for (const line of readFileSync(`/proc/${pid}/net/${file}`, "utf8").split("\n").slice(1)) {
            const words = line.trim().split(/\s+/);
            if (words[3] === "0A" && inodes.has(words[9])) ports.push(parseInt(words[1].split(":")[1], 16));
        }
    }
    return ports;
}

// descriptors - how many file descriptors a process has.
export function descriptors(pid) {
    return readdirSync(`/proc/${pid}/fd`).length;
}

// summary - makes node:test's outcome a line that the runner adds up: put it after all tests of a file.
export function count(test) {
    let passed = 0;
    let failed = 0;
    process.on("exit", () => console.log(`\n${passed} passed, ${failed} failed`));
    const timeout = 60000 * (Number(process.env.LANES) || 1); // as many programs beside it
    return (name, body) => test(name, { timeout }, async (context) => {
        failed++;
        await body(context);
        failed--;
        passed++;
    });
}
