/** Voice in the arena: the microphone, who speaks and how loud, from where, and the switch to peer to peer. */

import { Client, NecpnetError, userOf, Voice, VoicePeers, VoiceSignal } from "../../wasm/src/index";
import type { Entity } from "../../wasm/src/index";

/** The channel of those who talk from browser to browser; the first one makes it. */
const CHANNEL = "arena";
const ISSUER = "necpnet development"; /* of this page's tokens: the server has no other without JWTs */
const RADIUS = 15;                    /* the server's voice_radius: from there on nothing is heard */
const ROWS_MS = 100;
const PLACES_MS = 50;

const element = <T extends HTMLElement>(selector: string) => document.querySelector<T>(selector)!;
const checkbox = (id: string) => element<HTMLInputElement>("#" + id);

/** The user of a player: its eight bytes are a number, the lowest first. */
function voiceOf(player: Entity): string {
  return Array.from(player.voice as Uint8Array, (byte) => byte.toString(16).padStart(2, "0")).reverse().join("");
}

/** The fields of an event in bytes (Protocol Buffers; docs/events.md has the numbers). */
function readFields(bytes: Uint8Array): Record<number, number | Uint8Array> {
  const fields: Record<number, number | Uint8Array> = {};
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const key = varint();
    const skip = [0, 8, 0, 0, 0, 4][key & 7];
    if ((key & 7) === 0) fields[key >> 3] = varint();
    else if ((key & 7) === 2) {
      const size = varint();
      fields[key >> 3] = bytes.subarray(at, (at += size));
    } else if (skip) at += skip;
    else break;
  }
  return fields;
}

const EVENT = { topic: 1, kind: 4, data: 8, userId: 2 };
const KIND = { joined: 411, left: 412 };

/** JSON-RPC in messages named necpnet.rpc. */
class Rpc {
  onnotification: (method: string, params: any) => void = () => {};
  private readonly waiting = new Map<number, { resolve: (result: any) => void; reject: (error: Error) => void }>();
  private next = 1;

  constructor(private readonly client: Client) {
    client.on("message", ({ name, data }) => {
      if (name !== "necpnet.rpc") return;
      const said = JSON.parse(new TextDecoder().decode(data));
      for (const one of Array.isArray(said) ? said : [said]) {
        if (one.method) this.onnotification(one.method, one.params);
        else this.answer(one);
      }
    });
  }

  private answer(said: any): void {
    const asked = this.waiting.get(said.id);
    this.waiting.delete(said.id);
    if (said.error) asked?.reject(Object.assign(new Error(said.error.message), { code: said.error.code }));
    else asked?.resolve(said.result);
  }

  call(method: string, params: unknown): Promise<any> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      if (this.client.sendNamed("necpnet.rpc", JSON.stringify({ jsonrpc: "2.0", id, method, params }))) return;
      this.waiting.delete(id);
      reject(new Error("the connection takes no more"));
    });
  }
}

const NOT_FOUND = -32003;

export class VoicePanel {
  /** Entities whose voices are heard now, the own one too. */
  readonly speaking = new Set<number>();
  voice: Voice | null = null;
  peers: VoicePeers | null = null;

  private client: Client | null = null;
  private rpc: Rpc | null = null;
  private isTalking = false;
  private readonly rows = new Map<string, HTMLElement>();
  private rowsAtMs = -Infinity;
  private placesAtMs = -Infinity;
  private held = { key: false, button: false };

  /** subject: who this page is; join: the player leaves and comes again with the client that can speak. */
  constructor(private readonly subject: string, private readonly join: () => Promise<Client>) {
    element("#voice-on").addEventListener("click", () => void this.switchOn());
    const talk = element("#talk");
    for (const [name, down] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false], ["pointerleave", false], ["blur", false]] as const) {
      talk.addEventListener(name, () => this.hold("button", down));
    }
    for (const [name, down] of [["keydown", true], ["keyup", false]] as const) {
      talk.addEventListener(name, (event) => {
        if (event.key !== " " && event.key !== "Enter") return;
        event.preventDefault();
        event.stopPropagation();
        this.hold("button", down);
      });
      addEventListener(name, (event) => {
        const typing = document.activeElement?.matches("input:not([type=checkbox]):not([type=range]), select");
        if (event.code === "KeyV" && !event.ctrlKey && !event.metaKey && !event.altKey && !(down && typing)) this.hold("key", down);
      });
    }
    addEventListener("blur", () => this.hold("key", false));
    checkbox("open-microphone").addEventListener("change", () => this.settle());
    checkbox("mute").addEventListener("change", () => this.settle());
    checkbox("deafen").addEventListener("change", () => this.settle());
    element("#speak-to").addEventListener("change", () => this.chooseGroup());
    checkbox("peer-to-peer").addEventListener("change", (event) => void this.switchPeers((event.target as HTMLInputElement).checked));
  }

  private hold(what: "key" | "button", down: boolean): void {
    if (this.held[what] === down) return;
    this.held[what] = down;
    this.settle();
  }

  private say(text: string, wrong = false): void {
    const line = element("#voice-way");
    if (line.textContent === text) return;
    line.textContent = text;
    line.className = wrong ? "wrong" : "";
  }

  /** What the controls say is what the voice does. */
  private settle(): void {
    const { voice } = this;
    const talking = this.held.key || this.held.button || checkbox("open-microphone").checked;
    element("#talk").setAttribute("aria-pressed", String(talking));
    if (!voice) return;
    if (voice.talking !== talking) voice.talking = talking;
    if (voice.muted !== checkbox("mute").checked) voice.muted = checkbox("mute").checked;
    if (voice.deafened !== checkbox("deafen").checked) voice.deafened = checkbox("deafen").checked;
    this.peers?.update();
  }

  private async switchOn(): Promise<void> {
    const button = element<HTMLButtonElement>("#voice-on");
    button.disabled = true;
    button.textContent = "Loading";
    try {
      const context = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" }); /* in the click, or it stays silent */
      const client = (this.client = await this.join());
      const voice = (this.voice = client.voice!);
      this.rpc = new Rpc(client);
      this.rpc.onnotification = (method, params) => {
        if (method === "voice.signal") this.peers?.receive(params as VoiceSignal);
      };
      this.listen(client, voice);
      await voice.listen(context);
      element("#voice-off").hidden = true;
      element("#voice-panel").hidden = false;
      this.settle();
      await voice.openMicrophone().catch((error) => this.say(`No microphone: ${error.message}. You hear the others.`, true));
    } catch (error) {
      element("#voice-off span").textContent = `That did not work: ${(error as Error).message}`;
    }
    button.textContent = "Switch on";
    button.disabled = false;
  }

  private listen(client: Client, voice: Voice): void {
    voice.on("talking", () => (this.isTalking = true));
    voice.on("quiet", () => (this.isTalking = false));
    voice.on("joined", () => this.chooseGroup());
    voice.on("left", () => this.chooseGroup());
    client.on("message", ({ name, data }) => name === "necpnet.event" && this.hearEvent(data));
    client.on("connected", ({ resumed }) => {
      if (resumed) return;
      voice.groups.clear();
      if (checkbox("peer-to-peer").checked) void this.switchPeers(true);
    });
  }

  /** Speak where the controls say. */
  private chooseGroup(): void {
    if (!this.voice || this.peers) return;
    const kind = element<HTMLSelectElement>("#speak-to").value;
    const group = [...this.voice.groups.values()].find((one) => one.kind === kind)?.group ?? 0;
    if (group !== this.voice.group) this.voice.setGroup(group);
  }

  // ---- peer to peer

  private async joinChannel(): Promise<any> {
    const join = () => this.rpc!.call("voice.join", { channel_id: CHANNEL });
    try {
      return await join();
    } catch (error) {
      if ((error as any).code !== NOT_FOUND) throw error;
    }
    const made = await fetch("/api/v1/voice-channels", { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id: CHANNEL, name: "The arena, peer to peer", type: "global", max_users: 1000 }) });
    if (!made.ok && made.status !== 409) throw new Error((await made.json().catch(() => null))?.message ?? `HTTP ${made.status}`);
    return join();
  }

  private async switchPeers(on: boolean): Promise<void> {
    this.peers?.close();
    this.peers = null;
    element<HTMLSelectElement>("#speak-to").disabled = on;
    if (!on) {
      this.chooseGroup();
      void this.rpc?.call("voice.leave", { channel_id: CHANNEL }).catch(() => {});
      return;
    }
    try {
      const joined = await this.joinChannel();
      const ice = await fetch("/api/v1/ice-servers").then((answer) => (answer.ok ? answer.json() : { ice_servers: [] }));
      await this.rpc!.call("topic.subscribe", { topic: `voice.${CHANNEL}` });
      if (!checkbox("peer-to-peer").checked) return;
      const voice = this.voice!;
      const peers = new VoicePeers({ voice, user: this.subject, channel: CHANNEL, group: joined.group, iceServers: ice.ice_servers,
        send: (signal) => this.rpc!.call("voice.signal", signal), clientIdOf: (user) => userOf(user, ISSUER) });
      this.peers = peers;
      for (const one of joined.participants) peers.add(one.user_id, true);
    } catch (error) {
      checkbox("peer-to-peer").checked = false;
      element<HTMLSelectElement>("#speak-to").disabled = false;
      this.chooseGroup();
      this.say(`Not peer to peer: ${(error as Error).message}`, true);
    }
  }

  /** Who comes into the channel calls those who are there; who goes is forgotten. */
  private hearEvent(bytes: Uint8Array): void {
    const text = (field: number | Uint8Array | undefined) => new TextDecoder().decode(field as Uint8Array);
    const event = readFields(bytes);
    if (text(event[EVENT.topic]) !== `voice.${CHANNEL}` || !(event[EVENT.data] instanceof Uint8Array)) return;
    const user = text(readFields(event[EVENT.data] as Uint8Array)[EVENT.userId]);
    if (event[EVENT.kind] === KIND.joined) this.peers?.add(user, false);
    if (event[EVENT.kind] === KIND.left) this.peers?.remove(user);
  }

  // ---- what is shown

  /** Once a frame. */
  frame(entities: readonly Entity[], nowMs: number): void {
    const { voice } = this;
    if (!voice || !this.client) return;
    const places = nowMs - this.placesAtMs > PLACES_MS;
    const rows = nowMs - this.rowsAtMs > ROWS_MS;
    if (!places && !rows) return;
    const players = entities.filter((one) => one.type === "player").map((player) => ({ player, user: voiceOf(player) }));
    if (places) {
      this.placesAtMs = nowMs;
      this.place(voice, players);
    }
    if (!rows) return;
    this.rowsAtMs = nowMs;
    const direct = new Set((this.peers?.speaking ?? []).map(({ client }) => client));
    const heard = (user: string) => !voice.deafened && (voice.speaking.has(user) || direct.has(user));
    const sends = this.isTalking || (this.peers?.isDirect && voice.isOpen && voice.level > 0.2);
    this.speaking.clear();
    for (const { player, user } of players) {
      if (player.own ? sends : heard(user)) this.speaking.add(player.id);
    }
    element<HTMLMeterElement>("#microphone").value = voice.microphone ? voice.level : 0;
    element("#talk").toggleAttribute("data-sends", Boolean(sends));
    this.peers?.update();
    this.showWay(voice);
    this.showRows(players, heard, [...direct]);
  }

  private place(voice: Voice, players: { player: Entity; user: string }[]): void {
    for (const { player, user } of players) {
      const [x, y] = player.position as [number, number];
      try {
        if (player.own) voice.setListener([x, y, 0]);
        else voice.setPosition(user, x, y);
      } catch (error) {
        if (!(error instanceof NecpnetError)) throw error; /* more players than places are kept of: heard in the middle */
      }
    }
  }

  private showWay(voice: Voice): void {
    if (!voice.microphone && !this.peers) return;
    const { peers } = this;
    const delay = voice.statistics.delayMs;
    if (peers && peers.users.length === 0) this.say("Nobody else has switched peer to peer on");
    else if (peers) this.say(`${peers.connected.length} of ${peers.users.length} connected directly${peers.isDirect ? "" : ": through the server"}`);
    else this.say(delay ? `Through the server, ${delay} ms buffered` : "Through the server");
  }

  private makeRow(user: string): HTMLElement {
    const voice = this.voice!;
    const row = document.createElement("li");
    const [dot, label, slider, mute] = [document.createElement("i"), document.createElement("span"), document.createElement("input"),
      document.createElement("button")];
    Object.assign(slider, { type: "range", min: "0", max: "2", step: "0.05", value: "1" });
    mute.type = "button";
    const show = () => {
      const volume = voice.volumeOf(user);
      slider.value = String(volume);
      slider.title = `${Math.round(volume * 100)} %`;
      mute.textContent = volume === 0 ? "Unmute" : "Mute";
      mute.setAttribute("aria-pressed", String(volume === 0));
    };
    slider.addEventListener("input", () => {
      voice.setVolume(user, Number(slider.value));
      show();
    });
    mute.addEventListener("click", () => {
      voice.setVolume(user, voice.volumeOf(user) === 0 ? 1 : 0);
      show();
    });
    row.dataset.user = user;
    row.append(dot, label, slider, mute);
    show();
    return row;
  }

  /** Who has been heard, as long as he is here. */
  private showRows(players: { player: Entity; user: string }[], heard: (user: string) => boolean, direct: string[]): void {
    const voice = this.voice!;
    const list = element("#speakers");
    const here = new Map(players.filter(({ player }) => !player.own).map(({ player, user }) => [user, player]));
    for (const user of [...voice.speaking, ...direct]) {
      if (this.rows.has(user) || !here.has(user)) continue;
      const row = this.makeRow(user);
      this.rows.set(user, row);
      list.append(row);
    }
    for (const [user, row] of this.rows) {
      const player = here.get(user);
      if (!player) {
        row.remove();
        this.rows.delete(user);
        continue;
      }
      row.toggleAttribute("data-speaks", heard(user));
      (row.children[0] as HTMLElement).style.background = "#" + (player.colour as number).toString(16).padStart(6, "0");
      if (row.children[1].textContent !== player.name) {
        row.children[1].textContent = player.name;
        row.children[2].setAttribute("aria-label", `Volume of ${player.name}`);
        row.children[3].setAttribute("aria-label", `Mute ${player.name}`);
      }
    }
    element("#nobody").hidden = this.rows.size > 0;
  }
}

export const voiceOptions = { activation: "pushToTalk" as const, settings: { farDistance: RADIUS } };
