/** What the dashboard asks the node: REST with a token, and one JSON-RPC connection that comes back by itself. */

export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TOKEN_KEY = "necpnet.dashboard.token"; /* of the tab alone: closing it signs out */

export function token(): string {
  return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function setToken(value: string): void {
  if (value) sessionStorage.setItem(TOKEN_KEY, value);
  else sessionStorage.removeItem(TOKEN_KEY);
}

/** A REST call; throws Refused with the server's own words. */
export async function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  if (token()) headers["Authorization"] = "Bearer " + token();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, ...(body !== undefined ? { body: JSON.stringify(body) } : {}) });
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  let answer: { message?: string } = {};
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    if (response.ok) throw new Refused(502, "the node's answer cannot be read");
  }
  /* /health answers 503 with its figures while the node drains */
  if (!response.ok && !(path.startsWith("/health") && response.status === 503)) {
    throw new Refused(response.status, answer.message ?? `the node answered ${response.status}`);
  }
  return answer as T;
}

type Answer = { id?: number; result?: unknown; error?: { code: number; message: string; data?: unknown }; method?: string; params?: unknown };

const BACK_MS = [500, 1000, 2000, 5000];

/** JSON-RPC over a WebSocket. Notifications go to on; after a loss it connects again and calls onOpen. */
export class Rpc {
  onOpen: () => void = () => {};
  onLost: (why: string) => void = () => {};
  isOpen = false; /* and has said hello */
  private readonly handlers = new Map<string, (params: never) => void>();
  private readonly waiting = new Map<number, { done: (result: never) => void; failed: (error: Error) => void }>();
  private socket: WebSocket | null = null;
  private next = 1;
  private tries = 0;
  private timer = 0;
  private closed = false;

  on<T>(method: string, handler: (params: T) => void): void {
    this.handlers.set(method, handler as (params: never) => void);
  }

  open(): void {
    const url = new URL("/ws?protocol=jsonrpc", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const protocols = ["jsonrpc2.necpnet"];
    if (token()) protocols.push("necpnet.bearer." + token());
    else url.search += "&player=dashboard&role=admin"; /* believed in development mode alone */
    this.closed = false;
    const socket = new WebSocket(url, protocols);
    this.socket = socket;
    socket.onmessage = (message: MessageEvent<string>) => this.take(message.data);
    socket.onopen = () => {
      this.call("session.hello", {}).then(() => {
        this.tries = 0;
        this.isOpen = true;
        this.onOpen();
      }, (error: Error) => this.onLost(error.message));
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.isOpen = false;
      for (const one of this.waiting.values()) one.failed(new Error("the connection is lost"));
      this.waiting.clear();
      if (this.closed || this.socket !== socket) return;
      this.onLost(event.reason || "the connection is lost");
      this.timer = window.setTimeout(() => this.open(), BACK_MS[Math.min(this.tries++, BACK_MS.length - 1)]);
    };
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  call<T>(method: string, params: object): Promise<T> {
    const id = this.next++;
    return new Promise<T>((done, failed) => {
      if (this.socket?.readyState !== WebSocket.OPEN) return failed(new Error("not connected"));
      this.waiting.set(id, { done: done as (result: never) => void, failed });
      this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  private take(text: string): void {
    const parsed = JSON.parse(text) as Answer | Answer[];
    for (const answer of Array.isArray(parsed) ? parsed : [parsed]) {
      if (answer.method) {
        this.handlers.get(answer.method)?.(answer.params as never);
        continue;
      }
      const one = answer.id === undefined ? undefined : this.waiting.get(answer.id);
      if (!one) continue;
      this.waiting.delete(answer.id!);
      if (answer.error) one.failed(new Error(answer.error.message));
      else one.done(answer.result as never);
    }
  }
}
