/* programs - what tests of whole programs share: starting them, waiting with an end, counting checks, cleaning up. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const build = resolve(root, process.env.NECPNET_BUILD ?? "build/release");
export const require = createRequire(import.meta.url);

const children = new Set();
const folders = [];
let passed = 0;
let failed = 0;

/** Path of a built program; ends the test with the way out when it is not there. */
export function program(name) {
  const path = join(build, "bin", name);
  if (!existsSync(path)) throw new Error(`${path} is missing\n  fix: make build`);
  return path;
}

export function folder() {
  const path = mkdtempSync(join(tmpdir(), "necpnet-test-"));
  folders.push(path);
  return path;
}

/** Start a program; its output is kept, and given line by line to onLine. */
export function start(path, args, onLine) {
  const child = spawn(path, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const running = { child, output: "", ended: null };
  let rest = "";
  children.add(child);
  running.ended = new Promise((done) => child.on("exit", (code, signal) => {
    children.delete(child);
    done(code ?? signal);
  }));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      running.output = (running.output + text).slice(-20000);
      if (stream !== child.stdout || !onLine) return;
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      lines.forEach(onLine);
    });
  }
  return running;
}

/** A server on ports of the system's choice (or of an earlier one), once it listens. */
export async function startServer(args = []) {
  const ready = join(folder(), "ready.json");
  const running = start(program("necpnet-server"), ["--port", "0", "--udp-port", "0", "--ready-file", ready, ...args]);
  await until("the server listens", () => existsSync(ready) || running.child.exitCode !== null, 10);
  if (!existsSync(ready)) throw new Error("the server ended:\n" + running.output);
  return { ...running, ...JSON.parse(readFileSync(ready, "utf8")) };
}

export async function stop(running, signal = "SIGTERM", seconds = 15) {
  if (running.child.exitCode !== null || running.child.signalCode !== null) return running.ended;
  running.child.kill(signal);
  const late = setTimeout(() => running.child.kill("SIGKILL"), seconds * 1000);
  const code = await running.ended;
  clearTimeout(late);
  return code;
}

export function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** Wait for something true, at most so many seconds. */
export async function until(what, test, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await test();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(25);
  }
}

export function check(right, what) {
  if (right) passed++;
  else failed++;
  console.log(`${right ? "ok  " : "FAIL"} ${what}`);
  return right;
}

/** Run a test with an end; whatever happens, nothing is left running. */
export async function run(test, seconds, cleanup = async () => {}) {
  const end = setTimeout(() => {
    console.log(`FAIL ended after ${seconds} s`);
    for (const child of children) child.kill("SIGKILL");
    console.log(`${passed} passed, ${failed + 1} failed`);
    process.exit(1);
  }, seconds * 1000);
  try {
    await test();
  } catch (error) {
    check(false, error.stack ?? String(error));
  }
  try {
    await cleanup();
  } catch (error) {
    check(false, "cleaning up: " + error);
  }
  for (const child of [...children]) {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 3000);
    await new Promise((done) => (child.exitCode !== null || child.signalCode !== null ? done() : child.on("exit", done)));
    clearTimeout(late);
  }
  for (const path of folders) rmSync(path, { recursive: true, force: true });
  clearTimeout(end);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
