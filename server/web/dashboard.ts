/** The operator's page: what the node does now and did, who is connected, what is published; and the drain. */
import { Refused, Rpc, ask, setToken, token } from "./dashboard_api";
import { Events } from "./dashboard_events";
import { WorldMap } from "./dashboard_map";
import { Plot, short } from "./dashboard_plots";

const REFRESH_MS = 2000;

interface Point {
  at: string;
  seconds: number;
  bytes_sent: number;
  bytes_received: number;
  packets_sent: number;
  packets_received: number;
  packets_lost: number;
  latency_ms: { p50: number; p90: number; p99: number } | null;
}
interface ClientsPoint {
  at: string;
  seconds: number;
  udp: { mean: number };
  websocket: { mean: number };
  suspended: { mean: number };
}
interface Health {
  status: string;
  version: string;
  uptime_s: number;
  peers: { connected: number; udp: number; websocket: number; sessions: number };
  memory: { resident_bytes: number };
  tick: { p50_us: number; p99_us: number; hz: number };
}
interface Connection {
  id: string;
  user: { id: string | null; name: string | null; client_id: string };
  status: string;
  protocol: string;
  transport: string;
  topics: string[];
  metrics: { rtt_us: number; bytes_sent: number; bytes_received: number };
}

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

function say(state: "ok" | "busy" | "bad", head: string, rest = ""): void {
  const place = element("status");
  place.dataset["state"] = state;
  place.querySelector("b")!.textContent = head;
  place.querySelector("span")!.textContent = rest;
}

function duration(seconds: number): string {
  const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
  return days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function row(cells: (string | HTMLElement)[], numbers: number[]): HTMLTableRowElement {
  const line = document.createElement("tr");
  cells.forEach((content, index) => {
    const cell = document.createElement("td");
    cell.append(content);
    if (numbers.includes(index)) cell.className = "number";
    line.append(cell);
  });
  return line;
}

function fill(table: string, lines: HTMLTableRowElement[], empty: string): void {
  const body = document.querySelector(`#${table} tbody`)!;
  if (!lines.length) {
    const line = row([empty], []);
    const columns = document.querySelectorAll(`#${table} th`).length;
    line.cells[0]!.colSpan = columns;
    line.cells[0]!.className = "quiet";
    lines = [line];
  }
  body.replaceChildren(...lines);
}

const rpc = new Rpc();
const events = new Events(rpc);
const world = new WorldMap(rpc);
const plots = {
  traffic: new Plot("plot-traffic", [{ label: "to clients", colour: "one" }, { label: "from clients", colour: "two" }]),
  latency: new Plot("plot-latency", [{ label: "p50", colour: "one" }, { label: "p90", colour: "three" }, { label: "p99", colour: "two" }]),
  clients: new Plot("plot-clients", [{ label: "UDP", colour: "one" }, { label: "WebSocket", colour: "two" }, { label: "away", colour: "three" }]),
  packets: new Plot("plot-packets", [{ label: "sent", colour: "one" }, { label: "received", colour: "three" }, { label: "lost", colour: "two" }]),
};
let cursor: string | null = null;
let connections: Connection[] = [];

function span(): { timeframe: string; granularity: string } {
  const timeframe = document.querySelector<HTMLInputElement>("input[name=span]:checked")!.value;
  return { timeframe, granularity: timeframe === "5m" ? "second" : "minute" };
}

async function showHistory(): Promise<void> {
  const { timeframe, granularity } = span();
  const query = `?timeframe=${timeframe}&granularity=${granularity}`;
  const [traffic, clients] = await Promise.all([
    ask<{ region: string; points: Point[] }>("/network/analysis/traffic" + query),
    ask<{ points: ClientsPoint[] }>("/network/analysis/connections" + query),
  ]);
  element("node").textContent = traffic.region;
  /* the second under way is not over, and the last one may not have been sampled yet */
  const points = granularity === "second" ? traffic.points.slice(0, -2) : traffic.points;
  const times = points.map((point) => Date.parse(point.at) / 1000);
  const rate = (value: (point: Point) => number) => points.map((point) => (point.seconds ? value(point) / point.seconds : null));
  plots.traffic.show(times, [rate((point) => point.bytes_sent), rate((point) => point.bytes_received)]);
  plots.packets.show(times, [rate((point) => point.packets_sent), rate((point) => point.packets_received), rate((point) => point.packets_lost)]);
  plots.latency.show(times, (["p50", "p90", "p99"] as const).map((share) => points.map((point) => point.latency_ms?.[share] ?? null)));
  const some = clients.points.slice(0, points.length);
  plots.clients.show(times, (["udp", "websocket", "suspended"] as const).map((kind) => some.map((point) => (point.seconds ? point[kind].mean : null))));
  const last = [...points].reverse().find((point) => point.seconds);
  if (last) showCards(last);
}

let health: Health | null = null;

function showCards(last: Point): void {
  if (!health) return;
  const cards: [string, string][] = [
    [String(health.peers.connected), `clients: ${health.peers.udp} UDP, ${health.peers.websocket} WebSocket`],
    [short(last.bytes_sent / last.seconds) + "B/s", "to clients"],
    [short(last.bytes_received / last.seconds) + "B/s", "from clients"],
    [last.latency_ms ? last.latency_ms.p99.toFixed(0) + " ms" : "–", "round trip, p99"],
    [(health.tick.p99_us / 1000).toFixed(1) + " ms", `tick, p99, of ${health.tick.hz ? (1000 / health.tick.hz).toFixed(1) : "–"} ms`],
    [short(health.memory.resident_bytes) + "B", "memory"],
  ];
  element("cards").replaceChildren(...cards.map(([figure, about]) => {
    const card = document.createElement("div");
    card.className = "card";
    const number = document.createElement("b");
    const text = document.createElement("span");
    number.textContent = figure;
    text.textContent = about;
    card.append(number, text);
    return card;
  }));
}

async function showHealth(): Promise<void> {
  health = await ask<Health>("/health");
  const about = `version ${health.version}, up ${duration(health.uptime_s)}`;
  if (health.status === "ok") say("ok", "Healthy", about);
  else say(health.status === "draining" ? "busy" : "bad", health.status === "draining" ? "Draining" : health.status, about);
  element<HTMLButtonElement>("drain").disabled = health.status === "draining";
}

async function showConnections(more = false): Promise<void> {
  const status = element<HTMLSelectElement>("connection-status").value;
  const query = `?limit=100${status ? "&status=" + status : ""}${more && cursor ? "&cursor=" + encodeURIComponent(cursor) : ""}`;
  const answer = await ask<{ connections: Connection[]; next_cursor: string | null }>("/ws/connections" + query);
  connections = more ? [...connections, ...answer.connections] : answer.connections;
  cursor = answer.next_cursor;
  element("connection-more").hidden = !cursor;
  drawConnections();
}

function drawConnections(): void {
  const wanted = element<HTMLInputElement>("connection-find").value.trim().toLowerCase();
  const shown = connections.filter((one) => !wanted || JSON.stringify([one.id, one.user]).toLowerCase().includes(wanted));
  element("connection-count").textContent = `${shown.length}${cursor ? " and more" : ""}`;
  fill("connections", shown.map((one) => {
    const close = document.createElement("button");
    close.className = "plain";
    close.textContent = "Close";
    close.setAttribute("aria-label", `Close the connection of ${one.user.name ?? one.user.id ?? one.id}`);
    close.onclick = () => void ask(`/ws/connections/${encodeURIComponent(one.id)}`, "DELETE").then(() => showConnections(), complain);
    return row([one.user.name ?? one.user.id ?? one.user.client_id, `${one.protocol} ${one.transport}`, one.status,
      one.metrics.rtt_us ? (one.metrics.rtt_us / 1000).toFixed(1) + " ms" : "–", short(one.metrics.bytes_sent) + "B", short(one.metrics.bytes_received) + "B",
      one.topics.join(", "), close], [3, 4, 5]);
  }), "nobody is connected");
}

async function showRoutes(): Promise<void> {
  const { routes } = await ask<{ routes: { type: string; name: string; count: number; failed: number; mean_ms: number; max_ms: number }[] }>("/network/analysis/routes?timeframe=1h");
  fill("routes", routes.map((one) => row([one.name, short(one.count), short(one.failed), one.mean_ms.toFixed(2) + " ms", one.max_ms.toFixed(1) + " ms"], [1, 2, 3, 4])), "nothing was asked yet");
}

async function showSessions(): Promise<void> {
  type Session = { player: string; protocol: string; status: string; topics: number; resumes: number };
  const { sessions } = await rpc.call<{ sessions: Session[] }>("session.list", {});
  fill("sessions", sessions.map((one) => row([one.player, one.protocol, one.status, String(one.topics), String(one.resumes)], [3, 4])), "no session");
}

function complain(error: unknown): void {
  if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
    element("main").hidden = true;
    element("drain").hidden = true;
    element("refused").hidden = false;
    element("refused").textContent = error.status === 403
      ? "Your role may not see this: the dashboard is for services and administrators. Sign in with another token."
      : "Sign in with a token of a service or an administrator.";
    element("sign-in").hidden = false;
    element("sign-out").hidden = !token();
    say("bad", error.status === 403 ? "Not for you" : "Not signed in");
    clearInterval(timer);
    rpc.close();
    return;
  }
  say("bad", error instanceof Refused ? "Refused" : "No answer", (error as Error).message);
}

let timer = 0;

async function refresh(): Promise<void> {
  try {
    await showHealth();
    await Promise.all([showHistory(), cursorIsFirst() ? showConnections() : Promise.resolve(), showRoutes()]);
    await showSessions().catch(() => {});
  } catch (error) {
    complain(error);
  }
}

/* While somebody leafs through the pages, they stay. */
function cursorIsFirst(): boolean {
  return connections.length <= 100;
}

async function begin(): Promise<void> {
  clearInterval(timer);
  rpc.close();
  try {
    await showHealth();
    await ask("/network/analysis/capacity?timeframe=1h"); /* whether this role may */
  } catch (error) {
    complain(error);
    return;
  }
  element("refused").hidden = true;
  element("main").hidden = false;
  element("sign-out").hidden = !token();
  element("sign-in").hidden = !!token();
  await ask("/api/v1/admin/configuration").then(() => (element("drain").hidden = false), () => (element("drain").hidden = true));
  rpc.onOpen = () => {
    void events.begin().catch(() => {});
    void world.begin().catch((error: Error) => (element("zone-note").textContent = error.message));
  };
  rpc.onLost = (why) => (element("zone-note").textContent = why);
  rpc.open();
  await refresh();
  timer = window.setInterval(() => void refresh(), REFRESH_MS);
}

element<HTMLFormElement>("sign-in").onsubmit = (event) => {
  event.preventDefault();
  setToken(element<HTMLInputElement>("token").value.trim());
  element<HTMLInputElement>("token").value = "";
  void begin();
};
element("sign-out").onclick = () => {
  setToken("");
  void begin();
};
element("spans").onchange = () => void showHistory().catch(complain);
element("connection-status").onchange = () => void showConnections().catch(complain);
element("connection-find").oninput = drawConnections;
element("connection-more").onclick = () => void showConnections(true).catch(complain);
element("drain").onclick = () => element<HTMLDialogElement>("drain-dialog").showModal();
element<HTMLDialogElement>("drain-dialog").onclose = () => {
  if (element<HTMLDialogElement>("drain-dialog").returnValue === "yes") void ask("/api/v1/admin/drain", "POST").then(refresh, complain);
};
void begin();
