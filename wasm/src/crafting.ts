/* crafting - what a client needs to follow crafting sessions: reads the packets of messages named "necpnet.craft" (necpnet.v1) and the JSON of
 * /ws/crafting/{session} and crafting.changed, and foretells progress between them. The same as examples/crafting.h does in C.
 *
 *     const crafts = new CraftingTracks();
 *     client.on("message", (event) => event.name === CRAFTING_MESSAGE && crafts.take(event.data));
 *     crafts.show(follow)          // progress to draw, 0 .. 1, in each frame
 *
 * The server tells a course: work done at a moment, speed, whole duration. From that progress is known at every moment without a
 * packet; what is told in between says how far off that was. show() hides small corrections: it never goes back for less than 2 %,
 * and catches up within a fifth of a second. The layout of the packets is in docs/crafting.md.
 */

export const CRAFTING_MESSAGE = "necpnet.craft";

const STATUSES = ["queued", "active", "paused", "completed", "cancelled", "failed"] as const;
export type CraftingStatus = (typeof STATUSES)[number];

export interface CraftingMaterial { material: string | null; required: number; available: number }

/** The messages of /ws/crafting/{session_id}, and the params of crafting.changed: WebSocketCraftingMessage in openapi.yaml. */
export interface CraftingMessage {
  type: "progress" | "materials" | "gone" | string;
  session_id: string;
  sequence: number;
  timestamp_us: number;
  full: boolean;
  progress?: {
    progress_ppm: number;
    status?: string;
    speed_permille?: number;
    work_ms?: number;
    duration_ms?: number;
    quantity?: number;
  };
  materials?: Array<{ material: string; required: number; available: number }>;
}

/** One session as it is known; what changes between updates is asked of CraftingTracks. */
export interface CraftingTrack {
  known: boolean;
  status: CraftingStatus;
  quantity: number;
  /** Permille of the usual. */
  speed: number;
  durationMs: number;
  /** At timeUs of the server's clock. */
  workMs: number;
  timeUs: number;
  /** Of what was foretold, as the newest delta says. */
  offMs: number;
  materials: CraftingMaterial[];
}

interface Track extends CraftingTrack {
  wholeSequence: number;
  newestSequence: number;
  materialSequence: number | null;
  shown: number | null;
  shownUs: number;
}

const CYCLE_US = 2 ** 32; // packets carry the low 32 bits of the clock
const OFFSET_KEPT_MS = 30000;

/** Whether a sequence of 16 bits is newer than another. */
const isNewer = (a: number, b: number): boolean => ((a - b - 1) & 0xffff) < 0x7fff;

class Bits {
  private at = 0;
  failed = false;
  constructor(private readonly from: Uint8Array) {}

  take(count: number): number {
    if (count > this.from.length * 8 - this.at) {
      this.failed = true;
      return 0;
    }
    let value = 0;
    for (let i = 0; i < count; i++, this.at++) value += ((this.from[this.at >> 3]! >> (this.at & 7)) & 1) * 2 ** i;
    return value;
  }
}

/* Server's clock less our own, by the update that was under way for the shortest time lately. */
class Clock {
  private offsetUs: number | null = null;
  private nextUs = 0; // the best since sinceMs
  private sinceMs = 0;

  now(nowMs: number): number | null {
    return this.offsetUs === null ? null : nowMs * 1000 + this.offsetUs;
  }

  hear(serverUs: number, nowMs: number): void {
    const offsetUs = serverUs - nowMs * 1000;
    if (this.offsetUs === null) {
      this.offsetUs = this.nextUs = offsetUs;
      this.sinceMs = nowMs;
      return;
    }
    this.offsetUs = Math.max(this.offsetUs, offsetUs);
    this.nextUs = Math.max(this.nextUs, offsetUs);
    if (nowMs < this.sinceMs + OFFSET_KEPT_MS) return;
    this.offsetUs = this.nextUs; // clocks drift: an old best does not count for ever
    this.nextUs = offsetUs;
    this.sinceMs = nowMs;
  }
}

/** Foretells crafting sessions, each by its key: the number that crafting.follow answered, or the id of its session. */
export class CraftingTracks {
  private readonly tracks = new Map<number | string, Track>();
  /* Packets have the clock of the session, JSON has the time of day. */
  private readonly clocks = { packet: new Clock(), json: new Clock() };

  get(key: number | string): CraftingTrack | undefined {
    return this.tracks.get(key);
  }

  /** Forget a session that is followed no more. */
  drop(key: number | string): void {
    this.tracks.delete(key);
  }

  /**
   * One packet: the data of a message named CRAFTING_MESSAGE.
   * @returns whose track it changed; null: it is malformed, older than what is known, or builds upon what did not come.
   */
  take(data: Uint8Array, nowMs: number = performance.now()): number | null {
    const bits = new Bits(data);
    const kind = bits.take(2);
    const follow = bits.take(6);
    const sequence = bits.take(16);
    if (bits.failed) return null;
    const track = this.tracks.get(follow) ?? newTrack();
    const taken = kind === 0 ? this.takeWhole(track, bits, sequence, nowMs) : kind === 1 ? this.takeDelta(track, bits, sequence, nowMs)
      : takeMaterials(track, bits, sequence, kind === 2);
    if (!taken) return null;
    this.tracks.set(follow, track);
    return follow;
  }

  /**
   * One message as JSON.
   * @returns the session's id; null: it is older than what is known, or builds upon what did not come.
   */
  takeMessage(message: CraftingMessage, nowMs: number = performance.now()): string | null {
    const id = message.session_id;
    if (message.type === "gone") {
      this.tracks.delete(id);
      return id;
    }
    const track = this.tracks.get(id) ?? newTrack();
    const { progress, materials, full } = message;
    if (track.known && message.sequence <= track.newestSequence) return null;
    if (progress) {
      if (full) {
        const status = STATUSES.find((one) => one === progress.status);
        if (!status || !(progress.duration_ms! > 0) || progress.work_ms === undefined || progress.speed_permille === undefined) return null;
        Object.assign(track, { known: true, offMs: 0, status, quantity: progress.quantity ?? 1, speed: progress.speed_permille,
          durationMs: progress.duration_ms!, workMs: progress.work_ms, timeUs: message.timestamp_us });
      } else {
        if (!track.known) return null;
        track.offMs = 0;
        track.offMs = progress.progress_ppm * track.durationMs / 1e6 - workAt(track, message.timestamp_us);
        if (Math.abs(track.offMs) < Math.max(2, track.durationMs / 5e5)) track.offMs = 0; // what both round away
      }
    }
    this.clocks.json.hear(message.timestamp_us, nowMs);
    if (materials) {
      for (const one of materials) {
        const known = track.materials.find((other) => other.material === one.material);
        if (known) Object.assign(known, { required: one.required, available: one.available });
        else track.materials.push({ material: one.material, required: one.required, available: one.available });
      }
    }
    track.newestSequence = message.sequence;
    this.tracks.set(id, track);
    return id;
  }

  /** The server's clock of a session now, as far as it can be known: it lags by the shortest way lately. Null: nothing came yet. */
  serverUs(key: number | string, nowMs: number = performance.now()): number | null {
    return (typeof key === "number" ? this.clocks.packet : this.clocks.json).now(nowMs);
  }

  /** Progress at a moment of the server's clock, 0 .. 1. */
  predictAt(key: number | string, serverUs: number): number {
    const track = this.tracks.get(key);
    if (!track?.known) return 0;
    return Math.min(1, Math.max(0, workAt(track, serverUs) / track.durationMs));
  }

  /** Progress now, 0 .. 1. */
  predict(key: number | string, nowMs: number = performance.now()): number {
    const serverUs = this.serverUs(key, nowMs);
    return serverUs === null ? 0 : this.predictAt(key, serverUs);
  }

  /** What to draw: as predict, without jumps that nobody would understand. */
  show(key: number | string, nowMs: number = performance.now()): number {
    const track = this.tracks.get(key);
    if (!track?.known) return 0;
    const wanted = this.predict(key, nowMs);
    const nowUs = nowMs * 1000;
    const off = track.shown === null ? 0 : wanted - track.shown;
    if (track.shown === null || off < -0.02 || off > 0.2 || track.status !== "active") track.shown = wanted;
    else if (off > 0) track.shown += off * Math.min(1, (nowUs - track.shownUs) / 200000);
    track.shownUs = nowUs;
    return track.shown;
  }

  /* The whole clock of 32 bits of it: the one nearest to what is known. */
  private widen(lowUs: number, nowMs: number): number {
    const near = this.clocks.packet.now(nowMs);
    return near === null ? lowUs : lowUs + Math.round((near - lowUs) / CYCLE_US) * CYCLE_US;
  }

  private takeWhole(track: Track, bits: Bits, sequence: number, nowMs: number): boolean {
    if (track.known && !isNewer(sequence, track.wholeSequence)) return false;
    const status = STATUSES[bits.take(3)];
    const quantity = bits.take(7);
    const speed = bits.take(14);
    const lowUs = bits.take(32);
    const width = bits.take(6) + 1;
    if (width > 40) return false;
    const durationMs = bits.take(width);
    const workMs = bits.take(width);
    if (bits.failed || !status || durationMs === 0 || workMs > durationMs) return false;
    const timeUs = this.widen(lowUs, nowMs);
    Object.assign(track, { known: true, offMs: 0, status, quantity, speed, durationMs, workMs, timeUs, wholeSequence: sequence, newestSequence: sequence });
    this.clocks.packet.hear(timeUs, nowMs);
    return true;
  }

  private takeDelta(track: Track, bits: Bits, sequence: number, nowMs: number): boolean {
    const base = bits.take(8);
    const passedUs = bits.take(23);
    const width = bits.take(5);
    const behind = width > 0 && bits.take(1) === 1;
    const amount = bits.take(width);
    if (bits.failed || !track.known || base !== (track.wholeSequence & 0xff) || !isNewer(sequence, track.newestSequence)) return false;
    track.offMs = behind ? -amount : amount;
    track.newestSequence = sequence;
    this.clocks.packet.hear(track.timeUs + passedUs, nowMs);
    return true;
  }
}

function newTrack(): Track {
  return { known: false, status: "queued", quantity: 0, speed: 0, durationMs: 1, workMs: 0, timeUs: 0, offMs: 0, materials: [],
    wholeSequence: 0, newestSequence: 0, materialSequence: null, shown: null, shownUs: 0 };
}

function workAt(track: Track, serverUs: number): number {
  const passedUs = track.status === "active" ? Math.max(0, serverUs - track.timeUs) : 0;
  return track.workMs + track.offMs + (passedUs * track.speed) / 1e6;
}

function takeMaterials(track: Track, bits: Bits, sequence: number, whole: boolean): boolean {
  const count = bits.take(6);
  const width = bits.take(5);
  if (count > 32 || width < 1 || width > 16) return false;
  if (!whole && (track.materialSequence === null || count !== track.materials.length)) return false;
  if (track.materialSequence !== null && !isNewer(sequence, track.materialSequence)) return false;
  const changed = whole ? 2 ** 32 - 1 : bits.take(count);
  const made: CraftingMaterial[] = [];
  for (let i = 0; i < count; i++) {
    const required = whole ? bits.take(width) : track.materials[i]!.required;
    const available = Math.floor(changed / 2 ** i) % 2 === 1 ? bits.take(width) : track.materials[i]!.available;
    made.push({ material: null, required, available });
  }
  if (bits.failed) return false;
  track.materials = made;
  track.materialSequence = sequence;
  return true;
}
