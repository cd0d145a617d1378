/**
 * Speech: what the microphone gives goes to the server, and who is heard to the loudspeaker. Encoder, jitter buffer, mixer and
 * places are the core's (voice_core.wasm); here are the browser's microphone, loudspeaker and clock.
 */

import { Core, CoreModule, toCamel, toSnake } from "./core";
import type { WorkletSaid } from "./voice_worklet";

/** What voice_core adds to the compiled client: voice.h. */
interface VoiceModule extends CoreModule {
  _wasm_voice_create(): number;
  _wasm_voice_set_option(voice: number, name: number, value: number): number;
  _wasm_voice_begin(voice: number, client: number): number;
  _wasm_voice_destroy(voice: number): void;
  _wasm_voice_input(voice: number): number;
  _wasm_voice_output(voice: number): number;
  _wasm_voice_push(voice: number, frames: number): number;
  _wasm_voice_pull(voice: number, frames: number): number;
  _wasm_voice_switch(voice: number, which: number, on: number): number;
  _wasm_voice_set_group(voice: number, group: number): number;
  _wasm_voice_whisper(voice: number, low: number, high: number, on: number): number;
  _wasm_voice_set_user_volume(voice: number, low: number, high: number, volume: number): number;
  _wasm_voice_set_user_position(voice: number, low: number, high: number, x: number, y: number, z: number): number;
  _wasm_voice_set_listener(voice: number, x: number, y: number, z: number, rightX: number, rightY: number, rightZ: number): number;
  _wasm_voice_set_key(voice: number, keyId: number, key: number): number;
  _wasm_voice_event_names(): number;
  _wasm_voice_poll(voice: number): number;
  _wasm_voice_statistics_names(): number;
  _wasm_voice_statistics(voice: number): number;
}

export interface VoiceOptions {
  /** When the microphone is sent: while somebody speaks (default), while `talking` is true, or always. */
  activation?: "activity" | "pushToTalk" | "always";
  /** Numeric and boolean fields of necpnet_voice_config in camelCase; necpnet.h gives their ranges. */
  settings?: Record<string, number | boolean>;
  /** Where voice_worklet.js is; by default beside this module. */
  workletUrl?: string | URL;
}

export type VoiceKind = "channel" | "proximity" | "whisper";
/** A user is the 16 hexadecimal digits of his client id. */
export interface VoiceGroup { group: number; kind: VoiceKind; user: string; isSilenced: boolean }

export interface VoiceEvents {
  /** The server put this player into a group (a whisper: with that user), or changed whether he may speak there. */
  joined: VoiceGroup;
  left: { group: number };
  /** Somebody began to speak, or stopped. */
  speaking: { user: string; stream: number; kind: VoiceKind };
  silent: { user: string; stream: number };
  /** Sealed speech of a user comes that none of this player's keys opens: nothing of it is heard. Once for each of his streams. */
  keyMissing: { user: string; keyId: number };
  /** This player's own voice began to be sent, or stopped. */
  talking: {};
  quiet: {};
}

const KINDS: VoiceKind[] = ["channel", "proximity", "whisper"];
const ACTIVATIONS = ["activity", "pushToTalk", "always"];
const EVENT = { joined: 1, left: 2, speaking: 3, silent: 4, keyMissing: 5, talking: 6, quiet: 7 };
const SWITCH = { talking: 0, muted: 1, deafened: 2, loopback: 3 };
const KEY_BYTES = 32;
const HZ = 48000;
const PORTION = 480;
const AHEAD_MIN = 2 * PORTION;  /* given to the loudspeaker before it is due: 20 ms .. */
const AHEAD_MAX = 20 * PORTION; /* .. 200 ms, where this thread is often late */
const CALM_PORTIONS = 1000;     /* without a gap for 10 s: a portion less */

function toUser(low: number, high: number): string {
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

function halves(user: string): [number, number] {
  if (!/^[0-9a-f]{16}$/.test(user)) throw new TypeError(`a user is 16 hexadecimal digits, not "${user}"`);
  return [parseInt(user.slice(8), 16), parseInt(user.slice(0, 8), 16)];
}

/** How loud samples are: 0 for -60 dB of full scale and less, 1 for full scale. */
export function loudness(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-9);
  return Math.min(1, Math.max(0, (db + 60) / 60));
}

/**
 * The user that a subject of the server's tokens is; issuer: where the server's tokens have one. As necpnet_token_client_id: the
 * first bytes of a SHA-256. Where the page has a microphone it has this, too: https:// and localhost.
 */
export async function userOf(subject: string, issuer = ""): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(issuer + "\0" + subject));
  const view = new DataView(digest);
  return toUser(view.getUint32(0, true), view.getUint32(4, true));
}

/** The voice of a client that was made with `voice`: client.voice. */
export class Voice {
  /** Groups that this player is in. */
  readonly groups = new Map<number, VoiceGroup>();
  /** Who speaks now. */
  readonly speaking = new Set<string>();
  /** Where this player speaks; 0: nowhere. */
  group = 0;
  /** Loudness of the microphone, 0 .. 1. */
  level = 0;
  /** Everything audible goes through it: connect it to an AnalyserNode, for example. null before listen(). */
  output: GainNode | null = null;
  /** The microphone's sound, for those who send it another way; null before listen(). */
  tap: GainNode | null = null;
  microphone: MediaStream | null = null;

  private readonly module: VoiceModule;
  private readonly handle: number;
  private readonly eventNames: string[];
  private readonly statisticsNames: string[];
  private readonly listeners = new Map<string, Set<(event: any) => void>>();
  private readonly volumes = new Map<string, number>();
  private readonly switched = { talking: false, muted: false, deafened: false, loopback: false };
  private node: AudioWorkletNode | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private hasChosen = false;
  private pulled = 0;
  private missed = 0;
  private ahead = AHEAD_MIN;
  private calm = 0;

  /** Made by connect(); wake: something is to be sent. */
  constructor(private readonly core: Core, client: number, private readonly options: VoiceOptions, private readonly wake: () => void) {
    const module = (this.module = core.module as VoiceModule);
    if (!module._wasm_voice_create) throw new TypeError("voice: this core is built without voice; leave `core` out, or give voice_core");
    this.handle = module._wasm_voice_create();
    if (this.handle === 0) throw core.error(-200);
    this.eventNames = core.text(module._wasm_voice_event_names()).trim().split(" ").map(toCamel);
    this.statisticsNames = core.text(module._wasm_voice_statistics_names()).trim().split(" ").map(toCamel);
    try {
      const settings = { ...options.settings, activation: ACTIVATIONS.indexOf(options.activation ?? "activity") };
      for (const [name, value] of Object.entries(settings)) {
        const result = core.lendText(toSnake(name), (at) => module._wasm_voice_set_option(this.handle, at, Number(value)));
        if (result < 0) throw new TypeError(`voice.settings.${name}: ${core.error(result).message}`);
      }
      core.check(module._wasm_voice_begin(this.handle, client));
    } catch (error) {
      module._wasm_voice_destroy(this.handle);
      throw error;
    }
  }

  /** By the client, after its own end. */
  destroy(): void {
    this.close();
    this.module._wasm_voice_destroy(this.handle);
  }

  on<K extends keyof VoiceEvents>(name: K, listener: (event: VoiceEvents[K]) => void): () => void {
    let set = this.listeners.get(name);
    if (!set) this.listeners.set(name, (set = new Set()));
    set.add(listener);
    return () => set.delete(listener);
  }

  private emit<K extends keyof VoiceEvents>(name: K, event: VoiceEvents[K]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        console.error(`necpnet: a listener of "${name}" threw`, error);
      }
    }
  }

  /** By the client, with each of its updates. */
  poll(): void {
    for (let at = this.module._wasm_voice_poll(this.handle); at !== 0; at = this.module._wasm_voice_poll(this.handle)) {
      const event: Record<string, number> = {};
      this.eventNames.forEach((name, i) => (event[name] = this.core.data.getFloat64(at + i * 8, true)));
      this.take(event, toUser(event.userLow, event.userHigh));
    }
  }

  private take(event: Record<string, number>, user: string): void {
    const { group, stream } = event;
    const kind = KINDS[event.kind];
    switch (event.type) {
      case EVENT.joined: {
        const joined = { group, kind, user, isSilenced: event.isSilenced !== 0 };
        this.groups.set(group, joined);
        if (!this.hasChosen && this.group === 0) this.group = group; /* the core does the same */
        return this.emit("joined", joined);
      }
      case EVENT.left:
        this.groups.delete(group);
        if (this.group === group) this.group = 0;
        return this.emit("left", { group });
      case EVENT.speaking:
        this.speaking.add(user);
        return this.emit("speaking", { user, stream, kind });
      case EVENT.silent:
        this.speaking.delete(user);
        return this.emit("silent", { user, stream });
      case EVENT.keyMissing: return this.emit("keyMissing", { user, keyId: event.keyId });
      case EVENT.talking: return this.emit("talking", {});
      case EVENT.quiet: return this.emit("quiet", {});
    }
  }

  // ---- sound

  /**
   * Open the loudspeaker. Call it from a click or a key: browsers let no page be heard before. context: one of 48 kHz that the
   * game has already.
   */
  async listen(context = new AudioContext({ sampleRate: HZ, latencyHint: "interactive" })): Promise<void> {
    if (this.node) return context.resume();
    if (context.sampleRate !== HZ) throw new TypeError(`voice: the AudioContext has ${context.sampleRate} Hz, and must have ${HZ}`);
    await context.audioWorklet.addModule(String(this.options.workletUrl ?? new URL("./voice_worklet.js", import.meta.url)));
    if (this.node) return;
    this.node = new AudioWorkletNode(context, "necpnet-voice", { outputChannelCount: [2], channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this.tick(data as WorkletSaid);
    this.tap = context.createGain();
    this.output = context.createGain();
    this.output.gain.value = this.switched.deafened ? 0 : 1;
    this.node.connect(this.output).connect(context.destination);
    this.tap.connect(this.node);
    await context.resume();
  }

  /** Ask for the microphone, after listen(). Rejects as getUserMedia does where the player or the machine refuses. */
  async openMicrophone(wish: MediaTrackConstraints | MediaStream = {}): Promise<void> {
    if (!this.tap) throw new TypeError("voice: listen() comes first");
    if (!(wish instanceof MediaStream) && !navigator.mediaDevices) {
      throw new TypeError("voice: browsers give the microphone to pages from https:// and localhost alone");
    }
    this.closeMicrophone();
    const stream = wish instanceof MediaStream ? wish : await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...wish },
    });
    this.microphone = stream;
    this.source = (this.tap.context as AudioContext).createMediaStreamSource(stream);
    this.source.connect(this.tap);
  }

  closeMicrophone(): void {
    this.source?.disconnect();
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    this.source = this.microphone = null;
    this.level = 0;
  }

  /** Microphone and loudspeaker are let go; the client stays. */
  close(): void {
    this.closeMicrophone();
    this.node?.port.postMessage(null);
    this.node?.disconnect();
    this.output?.disconnect();
    if (this.node) void (this.node.context as AudioContext).close().catch(() => {});
    this.node = this.output = this.tap = null;
    this.pulled = this.missed = 0;
  }

  /** Each 10 ms of the sound card. */
  private tick(said: WorkletSaid): void {
    if (!this.node) return;
    const { module, handle } = this;
    if (said.sound) {
      this.level = loudness(said.sound);
      new Float32Array(module.HEAPU8.buffer, module._wasm_voice_input(handle), PORTION).set(said.sound);
      module._wasm_voice_push(handle, PORTION);
    }
    if (said.missed > this.missed) {
      this.ahead = Math.min(AHEAD_MAX, this.ahead + PORTION);
      this.calm = 0;
    } else if (++this.calm === CALM_PORTIONS) {
      this.ahead = Math.max(AHEAD_MIN, this.ahead - PORTION);
      this.calm = 0;
    }
    this.missed = said.missed;
    while (this.pulled - said.played < this.ahead) {
      this.core.check(module._wasm_voice_pull(handle, PORTION));
      const portion = new Float32Array(module.HEAPU8.buffer, module._wasm_voice_output(handle), PORTION * 2).slice();
      this.node.port.postMessage(portion, [portion.buffer]);
      this.pulled += PORTION;
    }
    this.wake();
  }

  // ---- wishes

  private setSwitch(name: keyof typeof SWITCH, on: boolean): void {
    this.switched[name] = on;
    this.core.check(this.module._wasm_voice_switch(this.handle, SWITCH[name], on ? 1 : 0));
    this.wake();
  }

  /** "pushToTalk": the key is down. */
  get talking(): boolean { return this.switched.talking; }
  set talking(on: boolean) { this.setSwitch("talking", on); }

  /** Nothing of the microphone is sent. */
  get muted(): boolean { return this.switched.muted; }
  set muted(on: boolean) { this.setSwitch("muted", on); }

  /** Nothing is heard; the server sends nothing. */
  get deafened(): boolean { return this.switched.deafened; }
  set deafened(on: boolean) {
    this.setSwitch("deafened", on);
    if (this.output) this.output.gain.value = on ? 0 : 1;
  }

  /** Hear yourself as others would; they hear nothing meanwhile. */
  get loopback(): boolean { return this.switched.loopback; }
  set loopback(on: boolean) { this.setSwitch("loopback", on); }

  /** Whether the player wants to be heard now: the key is down, or none is needed. */
  get isOpen(): boolean {
    return !this.switched.muted && (this.options.activation !== "pushToTalk" || this.switched.talking);
  }

  /** Speak to a group of `groups`, or to nobody (0). */
  setGroup(group: number): void {
    this.core.check(this.module._wasm_voice_set_group(this.handle, group));
    this.hasChosen = true;
    this.group = group;
  }

  /** Ask the server for a way to one user alone: `joined` of kind "whisper" follows if it allows it. */
  whisper(user: string, on: boolean): void {
    const [low, high] = halves(user);
    this.core.check(this.module._wasm_voice_whisper(this.handle, low, high, on ? 1 : 0));
    this.wake();
  }

  /**
   * Seal end to end: from now on what this player says can be heard only by those who set the same key, and the server reads the
   * outer header alone. Keys reach the players by the game's own way; take a new one, of another id, when somebody leaves. The
   * last four are kept for hearing.
   *
   * keyId: 1 .. 255. key: 32 bytes; null: speak in clear, and forget this key.
   */
  setKey(keyId: number, key: Uint8Array | null): void {
    if (key !== null && key.length !== KEY_BYTES) throw new TypeError(`a key is ${KEY_BYTES} bytes, not ${key.length}`);
    const set = (at: number) => this.module._wasm_voice_set_key(this.handle, keyId, at);
    const result = key === null ? set(0) : this.core.lend(key, (at) => {
      const result = set(at);
      this.module.HEAPU8.fill(0, at, at + KEY_BYTES);
      return result;
    });
    this.core.check(result);
  }

  /** 0 .. 4, 1 at first; 0: the server sends nothing of him. */
  setVolume(user: string, volume: number): void {
    const [low, high] = halves(user);
    this.core.check(this.module._wasm_voice_set_user_volume(this.handle, low, high, volume));
    this.volumes.set(user, volume);
    this.wake();
  }

  volumeOf(user: string): number {
    return this.volumes.get(user) ?? 1;
  }

  /** Where a user speaks, for groups of kind "proximity". */
  setPosition(user: string, x: number, y: number, z = 0): void {
    const [low, high] = halves(user);
    this.core.check(this.module._wasm_voice_set_user_position(this.handle, low, high, x, y, z));
  }

  /** Where this player hears, and the direction of his right ear. */
  setListener(position: [number, number, number], right: [number, number, number] = [1, 0, 0]): void {
    this.core.check(this.module._wasm_voice_set_listener(this.handle, ...position, ...right));
  }

  /** Figures as necpnet_voice_statistics has them, in camelCase; aheadMs: what waits for the loudspeaker. */
  get statistics(): Record<string, number> {
    const at = this.module._wasm_voice_statistics(this.handle);
    const figures: Record<string, number> = { aheadMs: this.ahead / (HZ / 1000) };
    this.statisticsNames.forEach((name, i) => (figures[name] = this.core.data.getFloat64(at + i * 8, true)));
    return figures;
  }
}
