/** The compiled client and its memory: what exports.h declares, and texts and blocks across the border. */

export interface CoreModule {
  HEAPU8: Uint8Array;
  HEAPU32: Uint32Array;
  HEAPF64: Float64Array;
  necpnetWake?: () => void;
  necpnetLog?: (level: number, line: string) => void;
  necpnetStep?: (client: number, type: number, state: number, input: number, bytes: number) => void;
  WebSocket?: unknown;
  _wasm_take(bytes: number): number;
  _wasm_give(at: number): void;
  _wasm_version(): number;
  _wasm_result_name(result: number): number;
  _wasm_result_text(result: number): number;
  _wasm_schema_begin(): number;
  _wasm_schema_of_game(): number;
  _wasm_schema_add_type(schema: number, name: number, id: number): number;
  _wasm_schema_add_field(schema: number, name: number, id: number, kind: number, storageBytes: number, count: number,
    flags: number, min: number, max: number, step: number): number;
  _wasm_schema_finish(schema: number): number;
  _wasm_schema_describe(schema: number): number;
  _wasm_schema_destroy(schema: number): void;
  _wasm_client_create(): number;
  _wasm_client_set_option(client: number, name: number, value: number): number;
  _wasm_client_add_channel(client: number, mode: number): number;
  _wasm_client_set_channel_option(client: number, name: number, value: number): number;
  _wasm_client_begin(client: number, schema: number, passphrase: number): number;
  _wasm_client_destroy(client: number): void;
  _wasm_client_connect(client: number, urls: number, count: number): number;
  _wasm_client_set_token(client: number, token: number): number;
  _wasm_client_set_credential(client: number, credential: number): number;
  _wasm_client_disconnect(client: number, code: number, text: number, lingerMs: number): number;
  _wasm_client_suspend(client: number): number;
  _wasm_client_resume(client: number): number;
  _wasm_client_set_delay(client: number, latencyMs: number, jitterMs: number): void;
  _wasm_client_update(client: number): number;
  _wasm_client_deadline_ms(client: number): number;
  _wasm_client_state(client: number): number;
  _wasm_event_names(): number;
  _wasm_client_poll(client: number): number;
  _wasm_client_send(client: number, channel: number, data: number, bytes: number, name: number, receipt: number): number;
  _wasm_client_input_tick(client: number): number;
  _wasm_client_server_tick(client: number): number;
  _wasm_client_send_input(client: number, tick: number, data: number, bytes: number): number;
  _wasm_client_predict_game(client: number): number;
  _wasm_client_predict(client: number, type: number): number;
  _wasm_client_look(client: number): number;
  _wasm_client_rows(client: number): number;
  _wasm_client_poll_view(client: number): number;
  _wasm_client_view_tick(client: number): number;
  _wasm_client_latest(client: number, entity: number): number;
  _wasm_client_edit(client: number, entity: number): number;
  _wasm_client_write(client: number, entity: number, tick: number): number;
  _wasm_client_authority(client: number, entity: number, what: number): number;
  _wasm_client_object(client: number, type: number): number;
  _wasm_client_poll_variable(client: number): number;
  _wasm_client_variable(client: number, scope: number, key: number): number;
  _wasm_client_changes(client: number): number;
  _wasm_statistics_names(): number;
  _wasm_client_statistics(client: number): number;
}

/** What core.mjs exports by default. */
export type CoreFactory = (options: Record<string, unknown>) => Promise<CoreModule>;

/** Where the compiled client comes from; by default core.mjs and core.wasm beside this package, with voice voice_core. */
export interface CoreSource {
  factory?: CoreFactory;
  /** Address of the .wasm file; with voice that of voice_core.wasm. */
  wasmUrl?: string | URL;
  /** The .wasm file itself, where there is no fetch (Node.js, tests). */
  wasmBinary?: ArrayBuffer | Uint8Array;
  /** Another WebSocket class than the global one. */
  WebSocket?: unknown;
}

/** A necpnet_result below 0. */
export class NecpnetError extends Error {
  /** "ERR_TIMEOUT" and the like; the README lists them. */
  readonly reason: string;
  readonly result: number;
  /** For people, without the name. */
  readonly text: string;
  constructor(result: number, reason: string, text: string) {
    super(`${reason}: ${text}`);
    this.name = "NecpnetError";
    this.reason = reason;
    this.result = result;
    this.text = text;
  }
}

export function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase());
}

export function toCamel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The compiled client with what JavaScript needs around it. One may serve many clients. */
export class Core {
  readonly module: CoreModule;
  private view: DataView;
  /** Called when something has arrived, for all clients of this core. */
  readonly wakes = new Set<() => void>();
  readonly steps = new Map<number, (type: number, state: number, input: Uint8Array) => void>();
  log: (level: number, line: string) => void = (level, line) => {
    (level >= 4 ? console.error : level === 3 ? console.warn : console.info)(`necpnet: ${line}`);
  };

  constructor(module: CoreModule) {
    this.module = module;
    this.view = new DataView(module.HEAPU8.buffer);
    module.necpnetWake = () => {
      for (const wake of this.wakes) wake();
    };
    module.necpnetLog = (level, line) => this.log(level, line);
    module.necpnetStep = (client, type, state, input, bytes) => {
      this.steps.get(client)?.(type, state, module.HEAPU8.subarray(input, input + bytes));
    };
  }

  /** The memory; it moves when it grows, so ask anew after each call. */
  get data(): DataView {
    if (this.view.buffer !== this.module.HEAPU8.buffer) this.view = new DataView(this.module.HEAPU8.buffer);
    return this.view;
  }

  get version(): string {
    return this.text(this.module._wasm_version());
  }

  /** NUL-terminated UTF-8. */
  text(at: number): string {
    if (at === 0) return "";
    const memory = this.module.HEAPU8;
    return decoder.decode(memory.subarray(at, memory.indexOf(0, at)));
  }

  /** A copy of bytes at an address. */
  bytes(at: number, count: number): Uint8Array {
    return this.module.HEAPU8.slice(at, at + count);
  }

  /** Lend bytes to one call. */
  lend<T>(bytes: Uint8Array, use: (at: number) => T): T {
    const at = this.module._wasm_take(bytes.length);
    if (at === 0) throw this.error(-200);
    this.module.HEAPU8.set(bytes, at);
    try {
      return use(at);
    } finally {
      this.module._wasm_give(at);
    }
  }

  /** Lend a text to one call; null becomes NULL. */
  lendText<T>(text: string | null, use: (at: number) => T): T {
    if (text === null) return use(0);
    if (text.includes("\0")) throw new TypeError("a text may not hold a NUL");
    return this.lend(encoder.encode(text + "\0"), use);
  }

  error(result: number): NecpnetError {
    return new NecpnetError(result, this.reason(result), this.text(this.module._wasm_result_text(result)));
  }

  reason(result: number): string {
    return this.text(this.module._wasm_result_name(result));
  }

  /** Throws where a result is no success. */
  check(result: number): void {
    if (result < 0) throw this.error(result);
  }
}

const loaded = new Map<string, Promise<Core>>();

/** Load the compiled client, the larger one with voice if that is wanted; the same source is loaded once. */
export function loadCore(source: CoreSource = {}, voice = false): Promise<Core> {
  const key = String(source.wasmUrl ?? (voice ? "voice_core.wasm" : "core.wasm"));
  const known = source.factory || source.wasmBinary || source.WebSocket ? undefined : loaded.get(key);
  if (known) return known;
  const loading = (async () => {
    const factory = source.factory ?? ((voice ? await import(/* @vite-ignore */ "./voice_core.mjs" as string)
      : await import(/* @vite-ignore */ "./core.mjs" as string)).default as CoreFactory);
    const options: Record<string, unknown> = {};
    if (source.wasmBinary) {
      const binary = source.wasmBinary;
      options.wasmBinary = binary instanceof Uint8Array
        ? binary.buffer.slice(binary.byteOffset, binary.byteOffset + binary.byteLength) : binary;
    } else if (source.wasmUrl) {
      options.locateFile = () => String(source.wasmUrl);
    }
    const module = await factory(options);
    if (source.WebSocket) module.WebSocket = source.WebSocket;
    return new Core(module);
  })();
  loaded.set(key, loading);
  loading.catch(() => loaded.delete(key));
  return loading;
}
