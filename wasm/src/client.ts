/** The client: connecting, messages, input, entities, figures. */

import { Core, CoreSource, loadCore, toCamel, toSnake } from "./core";
import { Entity, Schema, SchemaDescription, structClass, StructView, TypeLayout } from "./schema";
import { Voice, VoiceOptions } from "./voice";

export const ChannelMode = {
  unreliable: 0, unreliableSequenced: 1, reliableSequenced: 2, reliableUnordered: 3, reliableOrdered: 4,
} as const;

/** The channel table unless another is configured: one of each mode. */
export const Channel = { reliable: 0, unreliable: 1, sequenced: 2, unordered: 3, latest: 4 } as const;

export interface ChannelOptions {
  mode: keyof typeof ChannelMode;
  priority?: "critical" | "high" | "normal" | "low";
  redundancy?: boolean;
  compress?: boolean;
  messageBytesMax?: number;
  queueBytesMax?: number;
  queueMessagesMax?: number;
  windowBytes?: number;
}

const STATES = ["idle", "waitingForToken", "connecting", "connected", "reconnecting", "closing", "suspended"] as const;
export type ClientState = (typeof STATES)[number];

/** Advances an own entity's struct by one input: the same as the server does. */
export type PredictionStep = (state: any, input: Uint8Array) => void;

export interface ConnectOptions {
  /** "wss://host/ws"; left out: those inside the token. */
  urls?: string[];
  /** Fetches a connect token; called before each attempt, also when reconnecting. */
  token?: () => Promise<string>;
  /** Fetches a JWT instead. */
  credential?: () => Promise<string>;
  /** A server in open mode: no token. */
  open?: boolean | { passphrase: string };
  /** The server's entities: a description, or "game" for the one compiled in. */
  schema?: SchemaDescription | "game";
  /** Prediction of own entities: "game" for the compiled step, or steps by the name of their type (one type). */
  prediction?: "game" | Record<string, PredictionStep>;
  channels?: ChannelOptions[];
  /** Speak and hear: the larger core with Opus is loaded, and `client.voice` is there. Default false. */
  voice?: boolean | VoiceOptions;
  /** By itself after a loss; default true. */
  reconnect?: boolean;
  /** frame() finds out what changed since the one before: see `changes`. It costs a copy of each entity. */
  changes?: boolean;
  /** Any numeric field of necpnet_client_config or necpnet_view_config, in camelCase; necpnet.h gives their ranges. */
  settings?: Record<string, number>;
  /** Where the compiled client comes from, or one that is loaded already. */
  core?: CoreSource | Core;
}

export interface ConnectedEvent { resumed: boolean; lostMessages: number }
/** The connection is lost (the session may wait, or be over), or an attempt failed. */
export interface LostEvent {
  /** Name of the result, for programs: "ERR_CONNECTION_RESET". */
  reason: string;
  /** For people. */
  text: string;
  /** ERR_KICKED: the application's own number. */
  code: number;
  willReconnect: boolean;
  retryInMs: number;
}
export interface MessageEvent { channel: number; name: string | null; data: Uint8Array }
export interface ReceiptEvent { channel: number; receipt: number }
export interface TokenEvent { error: Error; retryInMs: number }

export interface ClientEvents {
  /** A session has begun, or goes on after `suspended` (resumed). */
  connected: ConnectedEvent;
  /** The connection is lost; the session waits, and the client comes back by itself. */
  suspended: LostEvent;
  /** The session goes on over another connection; nothing was away. */
  moved: {};
  /** The session is over. */
  disconnected: LostEvent;
  /** An attempt failed. */
  connectFailed: LostEvent;
  /** The token callback failed; it is called again after a while. */
  tokenFailed: TokenEvent;
  message: MessageEvent;
  receipt: ReceiptEvent;
  /** A queue that was full has room again. */
  writable: { channel: number };
  /** An entity came into view; its fields can be read from the next frame on. */
  entered: { id: number; type: string };
  left: { id: number; type: string };
  /** Who writes an entity: this client from now on, no longer, or not after all. */
  authority: { id: number; type: string; state: "given" | "lost" | "denied" };
  /** What became of write() number `number` and all earlier ones of the entity. clamped, refused, conflict: its fields show what the
   * server has. written and conflict: of shared entities alone. */
  write: { id: number; type: string; number: number; verdict: "written" | "clamped" | "refused" | "conflict" };
  /** A variable of the world or of this session was set; value null: removed. */
  variable: { scope: Scope; key: string; value: Value | null };
  state: ClientState;
}

export type Scope = "world" | "session";
/** Integers beyond 2^53 are a bigint. */
export type Value = boolean | number | bigint | string | Uint8Array;

/** What a frame() shows that the one before did not. */
export interface Changes {
  entered: readonly number[];
  left: readonly number[];
  /** By the number of the entity the names of its fields; of those that entered, too. */
  changed: ReadonlyMap<number, readonly string[]>;
}

export interface SendOptions {
  /** Default 0: reliable and ordered. */
  channel?: number;
  /** A number that comes back in the event `receipt` once the server has the message. */
  receipt?: number;
}

/** Figures by name, as necpnet_statistics and necpnet_view_statistics have them, in camelCase. */
export type Statistics = Record<string, number>;

type Listener = (event: any) => void;

const EVENT = { connected: 1, disconnected: 2, connectFailed: 3, tokenNeeded: 4, message: 5, receipt: 6, writable: 7, suspended: 11,
  moved: 12 };
/** necpnet_view_event_type, from 3 on. */
const AUTHORITY = { 3: "given", 4: "lost", 5: "denied" } as const;
const VERDICTS = { 6: "written", 7: "clamped", 8: "refused", 9: "conflict" } as const;
const SCOPES = ["world", "session"] as const;
const VALUE = { none: 0, bool: 1, integer: 2, number: 3, string: 4, bytes: 5 };
const RESULT_WOULD_BLOCK = -4;
const RESULT_NOT_FOUND = -7;
const TOKEN_RETRY_MS = [250, 500, 1000, 2000, 4000];
const INPUTS_A_FRAME = 8;
const IDLE_MS = 1000;

function toBytes(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") return new TextEncoder().encode(data);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

class EntityView extends StructView {}

export class Client {
  readonly core: Core;
  readonly schema: Schema | null;
  /** With `voice` alone. */
  readonly voice: Voice | null = null;
  private readonly handle: number;
  private readonly options: ConnectOptions;
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly eventNames: string[];
  private readonly statisticsNames: string[];
  private readonly classes = new Map<number, new (core: Core) => StructView>();
  private readonly types = new Map<number, TypeLayout>();
  private readonly seen = new Map<number, EntityView>();
  private shown: Entity[] = [];
  private changesShown: Changes = { entered: [], left: [], changed: new Map() };
  private inputTick = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private woken = false;
  private updating = false;
  private destroyed = false;
  private tokenTries = 0;
  private tokenTimer: ReturnType<typeof setTimeout> | null = null;
  private lastState: ClientState = "idle";
  private readonly wake = () => this.schedule();

  /** Use connect(). */
  constructor(core: Core, options: ConnectOptions) {
    const module = core.module;
    this.core = core;
    this.options = options;
    this.eventNames = core.text(module._wasm_event_names()).trim().split(" ").map(toCamel);
    this.statisticsNames = core.text(module._wasm_statistics_names()).trim().split(" ").map(toCamel);
    this.schema = options.schema ? new Schema(core, options.schema) : null;
    this.handle = module._wasm_client_create();
    if (this.handle === 0) throw core.error(-200);
    try {
      if (options.voice) this.voice = new Voice(core, this.handle, options.voice === true ? {} : options.voice, () => this.update());
      this.configure();
    } catch (error) {
      module._wasm_client_destroy(this.handle);
      this.schema?.destroy();
      throw error;
    }
    for (const type of this.schema?.types ?? []) {
      this.types.set(type.id, type);
      this.classes.set(type.id, structClass(type, false));
    }
    core.wakes.add(this.wake);
  }

  private setOption(name: string, value: number): void {
    const result = this.core.lendText(toSnake(name), (at) => this.core.module._wasm_client_set_option(this.handle, at, value));
    if (result < 0) throw new TypeError(`settings.${name}: ${this.core.error(result).message}`);
  }

  private configure(): void {
    const { core, options } = this;
    const module = core.module;
    const passphrase = typeof options.open === "object" ? options.open.passphrase : null;
    this.setOption("security", options.open ? 1 : 0);
    this.setOption("reconnect", options.reconnect === false ? 0 : 1);
    for (const [name, value] of Object.entries(options.settings ?? {})) this.setOption(name, value);
    for (const channel of options.channels ?? []) {
      const { mode, priority, ...numbers } = channel;
      core.check(module._wasm_client_add_channel(this.handle, ChannelMode[mode]));
      const all: Record<string, number | boolean> = { ...numbers };
      if (priority) all.priority = ["critical", "high", "normal", "low"].indexOf(priority);
      for (const [name, value] of Object.entries(all)) {
        core.lendText(toSnake(name), (at) => core.check(module._wasm_client_set_channel_option(this.handle, at, Number(value))));
      }
    }
    core.lendText(passphrase, (at) => core.check(module._wasm_client_begin(this.handle, this.schema?.handle ?? 0, at)));
    this.predict(options.prediction);
  }

  private predict(prediction: ConnectOptions["prediction"]): void {
    const module = this.core.module;
    if (prediction === "game") {
      this.core.check(module._wasm_client_predict_game(this.handle));
    } else if (prediction) {
      const steps = new Map<number, { step: PredictionStep; state: StructView }>();
      for (const [name, step] of Object.entries(prediction)) {
        const type = this.schema?.types.find((one) => one.name === name);
        if (!type) throw new TypeError(`prediction.${name}: the schema has no such type`);
        this.core.check(module._wasm_client_predict(this.handle, type.id));
        steps.set(type.id, { step, state: new (structClass(type, true))(this.core) });
      }
      this.core.steps.set(this.handle, (type, at, input) => {
        const known = steps.get(type);
        if (!known) return;
        known.state.at = at;
        known.step(known.state, input);
      });
    }
  }

  // ---- events

  on<K extends keyof ClientEvents>(name: K, listener: (event: ClientEvents[K]) => void): () => void {
    let set = this.listeners.get(name);
    if (!set) this.listeners.set(name, (set = new Set()));
    set.add(listener);
    return () => set.delete(listener);
  }

  private emit<K extends keyof ClientEvents>(name: K, event: ClientEvents[K]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        console.error(`necpnet: a listener of "${name}" threw`, error);
      }
    }
  }

  get state(): ClientState {
    return this.destroyed ? "idle" : STATES[this.core.module._wasm_client_state(this.handle)] ?? "idle";
  }

  // ---- connection

  /** Begin to connect; connect() has done so already. */
  connect(): void {
    const urls = this.options.urls ?? [];
    const text = new TextEncoder().encode(urls.map((url) => url + "\0").join("") + "\0");
    this.core.check(this.core.lend(text, (at) => this.core.module._wasm_client_connect(this.handle, at, urls.length)));
    this.schedule();
  }

  /** End in good order: what is queued on reliable channels is sent first, for at most lingerMs. */
  disconnect(code = 0, text = "", lingerMs = 1000): void {
    if (this.destroyed) return;
    this.core.lendText(text, (at) => this.core.module._wasm_client_disconnect(this.handle, code, at, lingerMs));
    this.schedule();
  }

  /** Release everything; a live connection is closed. */
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.core.wakes.delete(this.wake);
    this.core.steps.delete(this.handle);
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.tokenTimer !== null) clearTimeout(this.tokenTimer);
    this.core.module._wasm_client_destroy(this.handle);
    this.voice?.destroy();
    this.schema?.destroy();
    this.shown = [];
    this.seen.clear();
  }

  /** Try out a slower network: each way, in milliseconds. Order is kept, as a WebSocket keeps it. */
  simulate(latencyMs: number, jitterMs: number): void {
    this.core.module._wasm_client_set_delay(this.handle, latencyMs, jitterMs);
    this.schedule();
  }

  private async fetchToken(): Promise<void> {
    const { token, credential } = this.options;
    const module = this.core.module;
    try {
      if (!token && !credential) throw new Error("the server wants a token: give connect() token or credential");
      const text = await (token ?? credential!)();
      if (this.destroyed || this.state !== "waitingForToken") return;
      const result = this.core.lendText(text, (at) => token ? module._wasm_client_set_token(this.handle, at)
        : module._wasm_client_set_credential(this.handle, at));
      this.core.check(result);
      this.tokenTries = 0;
      this.schedule();
    } catch (error) {
      if (this.destroyed) return;
      const retryInMs = TOKEN_RETRY_MS[Math.min(this.tokenTries++, TOKEN_RETRY_MS.length - 1)] * (0.5 + Math.random());
      this.emit("tokenFailed", { error: error instanceof Error ? error : new Error(String(error)), retryInMs });
      this.tokenTimer = setTimeout(() => {
        if (this.state === "waitingForToken") void this.fetchToken();
      }, retryInMs);
    }
  }

  // ---- time

  /** Update soon: something arrived, or was queued. */
  private schedule(): void {
    if (this.woken || this.destroyed) return;
    this.woken = true;
    queueMicrotask(() => {
      this.woken = false;
      this.update();
    });
  }

  /** Receive, send, tell the listeners. Happens by itself; frame() does it, too. */
  update(): void {
    if (this.destroyed || this.updating) return;
    const module = this.core.module;
    this.updating = true;
    try {
      this.core.check(module._wasm_client_update(this.handle));
      for (let at = module._wasm_client_poll(this.handle); at !== 0; at = module._wasm_client_poll(this.handle)) {
        this.take(at);
        if (this.destroyed) return;
      }
      this.pollVariables();
      this.voice?.poll();
      if (this.destroyed) return;
      const state = this.state;
      if (state !== this.lastState) this.emit("state", (this.lastState = state));
    } finally {
      this.updating = false;
    }
    if (this.destroyed) return;
    if (this.timer !== null) clearTimeout(this.timer);
    const deadline = module._wasm_client_deadline_ms(this.handle);
    this.timer = deadline < 0 && this.lastState === "idle" ? null
      : setTimeout(() => this.update(), deadline < 0 ? IDLE_MS : Math.min(Math.max(deadline, 1), IDLE_MS));
  }

  private take(at: number): void {
    const { core } = this;
    const event: Record<string, number> = {};
    this.eventNames.forEach((name, i) => (event[name] = core.data.getFloat64(at + i * 8, true)));
    switch (event.type) {
      case EVENT.connected:
        if (!event.resumed) this.inputTick = 0;
        return this.emit("connected", { resumed: event.resumed !== 0, lostMessages: event.count });
      case EVENT.moved:
        return this.emit("moved", {});
      case EVENT.suspended:
      case EVENT.disconnected:
      case EVENT.connectFailed:
        return this.emit(event.type === EVENT.suspended ? "suspended" : event.type === EVENT.disconnected ? "disconnected" : "connectFailed", {
          reason: core.reason(event.reason),
          text: core.text(event.text) || core.error(event.reason).text,
          code: event.code,
          willReconnect: event.willReconnect !== 0,
          retryInMs: event.retryInMs,
        });
      case EVENT.tokenNeeded:
        return void this.fetchToken();
      case EVENT.message:
        return this.emit("message", {
          channel: event.channel,
          name: event.name === 0 ? null : core.text(event.name),
          data: core.bytes(event.data, event.bytes),
        });
      case EVENT.receipt:
        return this.emit("receipt", { channel: event.channel, receipt: event.receipt });
      case EVENT.writable:
        return this.emit("writable", { channel: event.channel });
    }
  }

  // ---- messages

  /** Queue one message. False: the queue is full; the event `writable` follows. */
  send(data: string | ArrayBuffer | ArrayBufferView, options: SendOptions = {}): boolean {
    return this.sendAs(null, data, options);
  }

  /** Queue one message with a name of at most 63 bytes, by which the server finds its handler. */
  sendNamed(name: string, data: string | ArrayBuffer | ArrayBufferView = "", options: SendOptions = {}): boolean {
    return this.sendAs(name, data, options);
  }

  private sendAs(name: string | null, data: string | ArrayBuffer | ArrayBufferView, options: SendOptions): boolean {
    const { core } = this;
    const bytes = toBytes(data);
    const result = core.lendText(name, (nameAt) => core.lend(bytes, (at) => core.module._wasm_client_send(this.handle,
      options.channel ?? Channel.reliable, at, bytes.length, nameAt, options.receipt ?? -1)));
    if (result === RESULT_WOULD_BLOCK) return false;
    core.check(result);
    this.schedule();
    return true;
  }

  // ---- input

  /** The server's tick now; null while unknown. */
  get serverTick(): number | null {
    const tick = this.core.module._wasm_client_server_tick(this.handle);
    return tick < 0 ? null : tick;
  }

  /**
   * Send one numbered input (1 to 255 bytes) for every tick of the server that has begun since the last call, and predict
   * with it. Call it once a frame; make is called once for each. After a pause the missed ticks are skipped.
   *
   * Returns how many were sent.
   */
  input(make: (tick: number) => Uint8Array): number {
    const module = this.core.module;
    const target = module._wasm_client_input_tick(this.handle);
    if (target < 0 || this.state !== "connected") return 0;
    if (target - this.inputTick > INPUTS_A_FRAME) this.inputTick = target - 1;
    let sent = 0;
    while (this.inputTick < target) {
      const bytes = make(this.inputTick + 1);
      const result = this.core.lend(bytes, (at) => module._wasm_client_send_input(this.handle, this.inputTick + 1, at, bytes.length));
      if (result === RESULT_WOULD_BLOCK) break;
      this.core.check(result);
      this.inputTick++;
      sent++;
    }
    if (sent) this.schedule();
    return sent;
  }

  // ---- entities

  /** Once a frame: update, and move all entities to where they are shown now. Gives them, too. */
  frame(): readonly Entity[] {
    const { core } = this;
    const module = core.module;
    if (this.destroyed) return [];
    this.update();
    const count = module._wasm_client_look(this.handle);
    core.check(count);
    const rows = module._wasm_client_rows(this.handle);
    const shown: Entity[] = [];
    for (let i = 0; i < count; i++) {
      const data = core.data;
      const id = data.getUint32(rows + i * 16, true);
      const type = data.getUint32(rows + i * 16 + 4, true);
      let entity = this.seen.get(id) as any;
      if (!entity || entity.typeId !== type) {
        entity = new (this.classes.get(type)!)(core);
        Object.defineProperties(entity, {
          id: { value: id }, type: { value: this.types.get(type)!.name }, typeId: { value: type },
          own: { value: false, writable: true },
        });
        this.seen.set(id, entity);
      }
      entity.own = data.getUint32(rows + i * 16 + 8, true) !== 0;
      entity.at = data.getUint32(rows + i * 16 + 12, true);
      shown.push(entity as Entity);
    }
    this.shown = shown;
    if (this.options.changes) this.takeChanges();
    this.pollView();
    return shown;
  }

  private typeName(id: number): string {
    return this.types.get(id)?.name ?? "";
  }

  private takeChanges(): void {
    const at = this.core.module._wasm_client_changes(this.handle);
    if (at === 0) return;
    const data = this.core.data;
    const [entered, enteredTypes, enteredCount, left, leftTypes, leftCount, changed, changedTypes, fields, changedCount] =
      Array.from({ length: 10 }, (_, i) => data.getUint32(at + i * 4, true));
    const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => data.getUint32(from + i * 4, true));
    const type = (from: number, i: number) => data.getUint16(from + i * 2, true);
    const map = new Map<number, string[]>();
    ids(changed, changedCount).forEach((id, i) => {
      const mask = data.getBigUint64(fields + i * 8, true);
      const all = [...(this.types.get(type(changedTypes, i))?.fields ?? [])].sort((a, b) => a.id - b.id);
      map.set(id, all.filter((_, bit) => mask >> BigInt(bit) & 1n).map((field) => field.name));
    });
    const enteredTypesNames = Array.from({ length: enteredCount }, (_, i) => this.typeName(type(enteredTypes, i)));
    const leftTypesNames = Array.from({ length: leftCount }, (_, i) => this.typeName(type(leftTypes, i)));
    this.changesShown = { entered: ids(entered, enteredCount), left: ids(left, leftCount), changed: map };
    const shown = this.changesShown;
    shown.left.forEach((id, i) => this.tellLeft(id, leftTypesNames[i]));
    shown.entered.forEach((id, i) => this.emit("entered", { id, type: enteredTypesNames[i] }));
  }

  private tellLeft(id: number, type: string): void {
    this.seen.delete(id);
    this.emit("left", { id, type });
  }

  private pollView(): void {
    const module = this.core.module;
    for (let at = module._wasm_client_poll_view(this.handle); at !== 0; at = module._wasm_client_poll_view(this.handle)) {
      const data = this.core.data;
      const what = data.getUint32(at, true);
      const id = data.getUint32(at + 4, true);
      const type = this.typeName(data.getUint32(at + 8, true));
      const number = data.getUint32(at + 12, true);
      if (what === 1) this.emit("entered", { id, type });
      else if (what === 2) this.tellLeft(id, type);
      else if (what in AUTHORITY) this.emit("authority", { id, type, state: AUTHORITY[what as keyof typeof AUTHORITY] });
      else if (what in VERDICTS) this.emit("write", { id, type, number, verdict: VERDICTS[what as keyof typeof VERDICTS] });
    }
  }

  /** All entities in view, as of the last frame(). Their fields are valid until the next one. */
  get entities(): readonly Entity[] {
    return this.shown;
  }

  /** One entity by its number, as of the last frame(). */
  entity(id: number): Entity | null {
    return this.shown.find((one) => one.id === id) ?? null;
  }

  /** The newest state of an entity that has arrived, not interpolated: a copy, with its tick. */
  latest(id: number): { tick: number; state: Record<string, any> } | null {
    const at = this.core.module._wasm_client_latest(this.handle, id);
    const entity = this.seen.get(id) as any;
    if (at === 0 || !entity) return null;
    const data = this.core.data;
    const tick = data.getUint32(at, true);
    const view = new (this.classes.get(entity.typeId)!)(this.core) as any;
    view.at = data.getUint32(at + 4, true);
    const state: Record<string, any> = {};
    for (const field of this.types.get(entity.typeId)!.fields) state[field.name] = view[field.name];
    return { tick, state };
  }

  /** What the last frame() showed that the one before did not; needs the option `changes`. */
  get changes(): Changes {
    return this.changesShown;
  }

  /** The object of a type, the world's or this session's, as of the last frame(). */
  object(type: string): Entity | null {
    const layout = this.schema?.types.find((one) => one.name === type);
    if (!layout) throw new TypeError(`object: the schema has no type ${type}`);
    return this.entity(this.core.module._wasm_client_object(this.handle, layout.id));
  }

  // ---- what this client writes

  /** Change fields of an entity that this client has authority over, or that is shared. Shown from the next frame() on, and sent;
   * the event `write` tells where the server sees it otherwise, and of shared entities always. Gives the number of the write. */
  write(id: number, fields: Record<string, any>): number {
    const { core } = this;
    const type = this.types.get((this.seen.get(id) as any)?.typeId);
    const at = type ? core.module._wasm_client_edit(this.handle, id) : 0;
    if (!type || at === 0) throw core.error(RESULT_NOT_FOUND);
    const tick = core.data.getUint32(at, true);
    const state = new (structClass(type, true))(core) as any;
    state.at = core.data.getUint32(at + 4, true);
    for (const [name, value] of Object.entries(fields)) {
      if (!type.fields.some((field) => field.name === name)) throw new TypeError(`write: ${type.name} has no field ${name}`);
      state[name] = value;
    }
    const number = core.module._wasm_client_write(this.handle, id, tick);
    core.check(number);
    this.schedule();
    return number;
  }

  /** Ask for authority over an entity; the event `authority` follows. */
  requestAuthority(id: number): void {
    this.core.check(this.core.module._wasm_client_authority(this.handle, id, 1));
    this.schedule();
  }

  /** Give authority back to the server. */
  releaseAuthority(id: number): void {
    this.core.check(this.core.module._wasm_client_authority(this.handle, id, 2));
    this.schedule();
  }

  hasAuthority(id: number): boolean {
    return this.core.module._wasm_client_authority(this.handle, id, 0) !== 0;
  }

  // ---- variables

  private readVariable(at: number): { scope: Scope; key: string; value: Value | null } {
    const { core } = this;
    const [scope, key, type, number, integer, from, bytes] = Array.from({ length: 7 }, (_, i) => core.data.getFloat64(at + i * 8, true));
    let value: Value | null = null;
    if (type === VALUE.bool) value = number !== 0;
    if (type === VALUE.number) value = number;
    if (type === VALUE.integer) {
      const whole = core.data.getBigInt64(integer, true);
      value = Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
    }
    if (type === VALUE.string) value = new TextDecoder().decode(core.bytes(from, bytes));
    if (type === VALUE.bytes) value = core.bytes(from, bytes);
    return { scope: SCOPES[scope], key: core.text(key), value };
  }

  /** A variable as the server set it; undefined where there is none. */
  variable(key: string, scope: Scope = "world"): Value | undefined {
    return this.core.lendText(key, (name) => {
      const at = this.core.module._wasm_client_variable(this.handle, SCOPES.indexOf(scope), name);
      return at === 0 ? undefined : this.readVariable(at).value ?? undefined;
    });
  }

  private pollVariables(): void {
    const module = this.core.module;
    for (let at = module._wasm_client_poll_variable(this.handle); at !== 0; at = module._wasm_client_poll_variable(this.handle)) {
      this.emit("variable", this.readVariable(at));
      if (this.destroyed) return;
    }
  }

  /** The moment of the server that frame() showed, in its ticks; null before the first state. */
  get viewTick(): number | null {
    const tick = this.core.module._wasm_client_view_tick(this.handle);
    return tick < 0 ? null : tick;
  }

  // ---- figures

  get statistics(): Statistics {
    const at = this.core.module._wasm_client_statistics(this.handle);
    const figures: Statistics = {};
    this.statisticsNames.forEach((name, i) => (figures[name] = this.core.data.getFloat64(at + i * 8, true)));
    return figures;
  }
}

/** Load the client and begin to connect. Resolves at once; the event `connected` tells when the session is up. */
export async function connect(options: ConnectOptions): Promise<Client> {
  const core = options.core instanceof Core ? options.core : await loadCore(options.core, Boolean(options.voice));
  const client = new Client(core, options);
  try {
    client.connect();
  } catch (error) {
    client.destroy();
    throw error;
  }
  return client;
}
