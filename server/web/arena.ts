/** The demo page of necpnet-server: joins the arena, draws it, and shows what the network does. */

import { connect, Client, LostEvent } from "../../wasm/src/index";
import type { CoreFactory, CoreModule, Entity } from "../../wasm/src/index";
import { Controls, inputBytes, Wish } from "./controls";
import { Netgraph } from "./netgraph";
import { Latest, Map, Picture, Shot } from "./picture";
import { VoicePanel, voiceOptions } from "./voice_panel";

const CHAT_LINES_MAX = 100;
const PLAYERS_MS = 250; /* between updates of the list */

const element = <T extends HTMLElement>(selector: string) => document.querySelector<T>(selector)!;

/* ---- who the player is ---- */

function remember(key: string, value?: string): string {
  try {
    if (value !== undefined) localStorage.setItem("necpnet.arena." + key, value);
    return localStorage.getItem("necpnet.arena." + key) ?? "";
  } catch {
    return value ?? "";
  }
}

function shorten(name: string): string {
  const encoder = new TextEncoder();
  let short = name.replace(/[\u0000-\u001f\u007f]/g, "").trim();
  while (encoder.encode(short).length > 24) short = Array.from(short).slice(0, -1).join("");
  return short;
}

const nameInput = element<HTMLInputElement>("#name");
const colourInput = element<HTMLInputElement>("#colour");
nameInput.value = shorten(new URLSearchParams(location.search).get("name") ?? remember("name"));

/** Whose tokens these are: of this page, as long as it is open. */
const subject = "page-" + Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A connect token from the server that serves this page; a backend of your own does the same. */
async function fetchToken(): Promise<string> {
  const answer = await fetch("/api/v1/connect-tokens", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ player: shorten(nameInput.value), subject, transport: "websocket" }),
  });
  if (!answer.ok) {
    const why = await answer.json().catch(() => null);
    throw new Error(why?.error?.message ?? why?.message ?? `no token: HTTP ${answer.status}`);
  }
  return (await answer.json()).token;
}

/* ---- connection state ---- */

const statusLine = element("#status");
let lost: { text: string; retryAtMs: number } | null = null;
let final = "";

function showStatus(state: string, title: string, text: string): void {
  if (statusLine.dataset.state !== state) statusLine.dataset.state = state;
  const [b, span] = [statusLine.querySelector("b")!, statusLine.querySelector("span")!];
  if (b.textContent !== title) b.textContent = title;
  if (span.textContent !== text) span.textContent = text;
}

function updateStatus(client: Client, nowMs: number): void {
  const reason = lost ? lost.text : "";
  if (final) return showStatus("failed", "Not connected", final);
  switch (client.state) {
    case "connected": return showStatus("connected", "Connected", location.host);
    case "waitingForToken":
      if (!lost || lost.retryAtMs <= nowMs) return showStatus("busy", "Connecting", reason || "asking for a token");
      return showStatus("busy", "Waiting for a token", `again in ${((lost.retryAtMs - nowMs) / 1000).toFixed(1)} s: ${reason}`);
    case "connecting": return showStatus("busy", lost ? "Reconnecting" : "Connecting", reason);
    case "reconnecting": {
      const seconds = lost ? Math.max(0, lost.retryAtMs - nowMs) / 1000 : 0;
      return showStatus("busy", "Connection lost", `again in ${seconds.toFixed(1)} s: ${reason}`);
    }
    default: return showStatus("busy", "Not connected", reason);
  }
}

/* ---- chat and players ---- */

const lines = element("#lines");

function addLine(text: string, quiet = false): void {
  const line = document.createElement("p");
  line.textContent = text;
  if (quiet) line.className = "quiet";
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
  lines.append(line);
  while (lines.childElementCount > CHAT_LINES_MAX) lines.firstElementChild!.remove();
  if (atEnd) lines.scrollTop = lines.scrollHeight;
}

function showPlayers(entities: readonly Entity[]): void {
  const players = entities.filter((one) => one.type === "player")
    .map((one) => ({ name: one.name as string, score: one.score as number, colour: one.colour as number, own: one.own,
      native: one.platform === 1 }))
    .sort((a, b) => b.score - a.score || a.name.localeCompare(b.name));
  element("#count").textContent = players.length ? String(players.length) : "";
  element("#players ol").replaceChildren(...players.map((player) => {
    const [row, dot, name, kind, score] = ["li", "i", "span", "small", "b"].map((tag) => document.createElement(tag));
    dot.style.background = "#" + player.colour.toString(16).padStart(6, "0");
    name.textContent = player.name;
    kind.textContent = player.own ? "you" : player.native ? "native" : "browser";
    score.textContent = String(player.score);
    if (player.own) row.className = "own";
    row.append(dot, name, kind, score);
    return row;
  }));
}

function sendProfile(client: Client): void {
  if (client.state !== "connected" || !colourInput.value) return;
  const colour = parseInt(colourInput.value.slice(1), 16);
  const name = new TextEncoder().encode(shorten(nameInput.value));
  client.sendNamed("profile", new Uint8Array([colour >> 16, (colour >> 8) & 255, colour & 255, ...name]));
}

/* ---- wiring ---- */

function readMap(core: CoreModule & { _arena_number(which: number): number }): Map {
  const number = (which: number) => core._arena_number(which);
  const unit = number(3);
  const walls: Map["walls"] = [];
  for (let i = 0; i < number(7); i++) walls.push([0, 1, 2, 3].map((k) => number(10 + i * 4 + k)) as Map["walls"][number]);
  return { width: number(1), height: number(2), playerRadius: number(4) / unit, wandererRadius: number(5) / unit,
    vehicleRadius: number(8) / unit, healthMax: number(9), walls };
}

/** A "shot" message, as arena_schema.h has it. */
function readShot(data: Uint8Array, client: Client, unit: number, atMs: number): Shot | null {
  if (data.length !== 24) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const place = (at: number): [number, number] => [view.getInt32(at, true) / unit, view.getInt32(at + 4, true) / unit];
  const by = client.entities.find((one) => one.id === view.getUint32(0, true));
  return { from: place(4), to: place(12), hit: view.getUint32(20, true) !== 0, colour: (by?.colour as number) ?? 0x888888, atMs };
}

function listen(client: Client, picture: Picture): void {
  const unit = (client.core.module as any)._arena_number(3);
  const onLost = (event: LostEvent) => {
    lost = { text: event.text, retryAtMs: performance.now() + event.retryInMs };
    if (!event.willReconnect) final = event.text || event.reason;
  };
  client.on("connected", (event) => {
    if (lost) addLine(event.resumed ? "Back, where you were" : "Connected again", true);
    lost = null;
    if (remember("colour")) sendProfile(client);
  });
  client.on("suspended", (event) => {
    addLine(`Connection lost: ${event.text}`, true);
    onLost(event);
  });
  client.on("disconnected", (event) => {
    if (!lost) addLine(`Connection lost: ${event.text}`, true);
    onLost(event);
  });
  client.on("connectFailed", onLost);
  client.on("tokenFailed", (event) => {
    const text = event.error instanceof TypeError ? "the server does not answer" : event.error.message;
    lost = { text, retryAtMs: performance.now() + event.retryInMs };
  });
  client.on("message", (event) => {
    if (event.name === "chat") addLine(new TextDecoder().decode(event.data));
    const shot = event.name === "shot" ? readShot(event.data, client, unit, performance.now()) : null;
    if (shot) picture.addShot(shot);
  });
}

function listenToForms(current: () => Client): void {
  element("#profile").addEventListener("submit", (event) => {
    event.preventDefault();
    nameInput.blur();
  });
  nameInput.addEventListener("change", () => {
    nameInput.value = shorten(nameInput.value);
    remember("name", nameInput.value);
    sendProfile(current());
  });
  colourInput.addEventListener("change", () => {
    remember("colour", colourInput.value);
    sendProfile(current());
  });
  const say = element<HTMLInputElement>("#say");
  element("#chat form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = say.value.trim();
    if (text && current().state === "connected") {
      current().sendNamed("chat", text);
      say.value = "";
    }
    if (!text) say.blur();
  });
  addEventListener("keydown", (event) => {
    const typing = document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLButtonElement;
    if (event.key === "Enter" && !typing) {
      event.preventDefault();
      say.focus();
    } else if (event.key === "Escape") {
      (document.activeElement as HTMLElement | null)?.blur();
    }
  });
  const sliders = [element<HTMLInputElement>("#latency"), element<HTMLInputElement>("#jitter-wanted")];
  for (const slider of sliders) {
    slider.addEventListener("input", () => {
      slider.parentElement!.querySelector("output")!.textContent = `${slider.value} ms`;
      current().simulate(Number(sliders[0].value), Number(sliders[1].value));
    });
  }
}

/** What a script may see and do; the browser test drives the page by it. */
function expose(current: () => Client, controls: Controls, panel: VoicePanel): void {
  const player = (one: Entity) => ({ id: one.id, name: one.name as string, own: one.own, x: one.position[0] as number,
    y: one.position[1] as number, score: one.score as number, platform: one.platform as number });
  (window as any).arena = {
    get client() { return current(); },
    get voice() { return panel.voice; },
    get peers() { return panel.peers; },
    players: () => current().entities.filter((one) => one.type === "player").map(player),
    own: () => current().entities.filter((one) => one.type === "player" && one.own).map(player)[0] ?? null,
    /** Walk as if by keys: -1 .. 1 each; without arguments the player decides again. */
    walk: (x?: number, y?: number, run = false) => {
      const wish: Wish | null = x === undefined || y === undefined ? null
        : { x: Math.round(x * 127), y: Math.round(y * 127), aim: Math.atan2(y, x), run, fire: false, ride: false };
      controls.forced = wish;
    },
    /** Anything that a player can want; without an argument the player decides again. */
    want: (wish: Wish | null = null) => {
      controls.forced = wish;
    },
    /** Record each frame: what is shown of others at a tick, and the server's newest word about the own player. */
    record: () => {
      const shown: { tick: number; name: string; x: number; y: number }[] = [];
      const said: { tick: number; x: number; y: number }[] = [];
      recorder = (entities) => {
        const client = current();
        const tick = client.viewTick;
        for (const one of entities) {
          if (one.type !== "player") continue;
          if (!one.own && tick !== null) shown.push({ tick, name: one.name, x: one.position[0], y: one.position[1] });
          const latest = one.own ? client.latest(one.id) : null;
          if (latest && latest.tick !== said[said.length - 1]?.tick) {
            said.push({ tick: latest.tick, x: latest.state.position[0], y: latest.state.position[1] });
          }
        }
      };
      return () => {
        recorder = null;
        return { shown, said };
      };
    },
  };
}

let recorder: ((entities: readonly Entity[]) => void) | null = null;

/** A client in the arena; with voice that of the larger core, which is loaded then. */
async function enter(voice: boolean): Promise<Client> {
  const loaded = voice ? await import("./arena_voice_core.mjs" as string) : await import("./arena_core.mjs" as string);
  return connect({
    token: fetchToken,
    schema: "game",
    prediction: "game",
    voice: voice && { ...voiceOptions, workletUrl: new URL("voice_worklet.js", import.meta.url) },
    settings: { websocketPingMs: 5000, websocketTimeoutMs: 12000, reconnectDelayMaxMs: 5000 },
    core: { factory: loaded.default as CoreFactory, wasmUrl: new URL(voice ? "arena_voice_core.wasm" : "arena_core.wasm", import.meta.url) },
  });
}

async function begin(): Promise<void> {
  let client = await enter(false);
  const canvas = element<HTMLCanvasElement>("#arena");
  const controls = new Controls(canvas, element("#stick"));
  const picture = new Picture(canvas, readMap(client.core.module as never));
  const graph = new Netgraph(element<HTMLCanvasElement>("#graph"));
  const compensate = element<HTMLInputElement>("#compensate");
  const ghosts = element<HTMLInputElement>("#ghosts");
  const latest: Latest = (id) => {
    const said = client.latest(id);
    return said && { tick: said.tick, position: said.state.position };
  };
  let own: [number, number] | null = null;
  let playersAtMs = -Infinity;
  const panel = new VoicePanel(subject, async () => {
    if (client.voice) return client;
    const old = client;
    client = await enter(true);
    old.disconnect(0, "comes again with voice", 0);
    old.destroy();
    listen(client, picture);
    client.simulate(Number(element<HTMLInputElement>("#latency").value), Number(element<HTMLInputElement>("#jitter-wanted").value));
    return client;
  });
  picture.speaking = panel.speaking;
  listen(client, picture);
  listenToForms(() => client);
  expose(() => client, controls, panel);
  addEventListener("pagehide", () => client.disconnect(0, "the page was left", 0));
  addEventListener("pageshow", (event) => event.persisted && location.reload());

  const frame = (nowMs: number) => {
    requestAnimationFrame(frame);
    client.input((tick) => inputBytes(controls.wish(own), tick, client.viewTick, compensate.checked));
    const entities = client.frame();
    recorder?.(entities);
    own = picture.draw(entities, nowMs, latest, controls.ghosts || ghosts.checked);
    panel.frame(entities, nowMs);
    graph.update(client, nowMs);
    updateStatus(client, nowMs);
    if (nowMs - playersAtMs > PLAYERS_MS) {
      playersAtMs = nowMs;
      showPlayers(entities);
      const me = entities.find((one) => one.own && one.type === "player");
      if (me && document.activeElement !== colourInput) colourInput.value = "#" + (me.colour as number).toString(16).padStart(6, "0");
      if (me && document.activeElement !== nameInput && !nameInput.value) nameInput.value = me.name;
    }
  };
  requestAnimationFrame(frame);
}

begin().catch((error) => showStatus("failed", "This page does not work", String(error.message ?? error)));
