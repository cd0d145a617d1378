/**
 * Speech from browser to browser over WebRTC, with the server as signalling: a connection to each user of a voice channel, by
 * perfect negotiation (W3C WebRTC 10.7). While all of them are connected directly the voice goes there; else through the server,
 * so that nobody hears it twice or not at all.
 */

import { loudness, Voice } from "./voice";

/** As the server takes and gives it: docs/voice.md. */
export interface VoiceSignal {
  type: "offer" | "answer" | "candidate";
  session_id?: string;
  from_user_id: string;
  to_user_id: string;
  channel_id: string;
  offer?: RTCSessionDescriptionInit;
  answer?: RTCSessionDescriptionInit;
  candidate?: RTCIceCandidateInit;
}

export interface VoicePeersOptions {
  voice: Voice;
  /** The own user_id, and the channel that was joined. */
  user: string;
  channel: string;
  /** The server's group of that channel, for who cannot be reached directly. */
  group: number;
  /** Hands a signal to the server. */
  send: (signal: VoiceSignal) => void | Promise<unknown>;
  /** GET /api/v1/ice-servers. */
  iceServers?: RTCIceServer[];
  /** The client id of a user_id, for volumes: (user) => userOf(user, issuer). */
  clientIdOf?: (user: string) => Promise<string>;
}

interface Peer {
  user: string;
  client: string; /* "": not known (yet) */
  polite: boolean;
  session: string; /* of the other side; "": not known yet */
  connection: RTCPeerConnection;
  makingOffer: boolean;
  ignoresOffer: boolean;
  work: Promise<void>; /* signals are taken one by one */
  gain: GainNode;
  analyser: AnalyserNode;
  element: HTMLAudioElement | null; /* Chromium lets the sound of a connection flow only with one */
}

const SPEAKING_LOUDNESS = 0.2; /* -48 dB */

export class VoicePeers {
  /** Told when somebody came, went, was connected or lost. */
  onchange: () => void = () => {};
  onerror: (user: string, error: Error) => void = (user, error) => console.warn(`necpnet: peer to peer with ${user}:`, error.message);

  private readonly peers = new Map<string, Peer>();
  private readonly session = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  private readonly gate: GainNode;
  private readonly outgoing: MediaStreamAudioDestinationNode;
  private readonly samples = new Float32Array(1024);
  private closed = false;

  /** After voice.listen(). */
  constructor(private readonly options: VoicePeersOptions) {
    const { tap } = options.voice;
    if (!tap) throw new TypeError("voice: listen() comes first");
    this.gate = tap.context.createGain();
    this.gate.gain.value = 0;
    this.outgoing = (tap.context as AudioContext).createMediaStreamDestination();
    tap.connect(this.gate).connect(this.outgoing);
    this.settle();
  }

  /** Users of the channel, without oneself. */
  get users(): string[] {
    return [...this.peers.keys()];
  }

  get connected(): string[] {
    return [...this.peers.values()].filter((peer) => peer.connection.connectionState === "connected").map((peer) => peer.user);
  }

  /** All of the channel are connected directly. */
  get isDirect(): boolean {
    return this.peers.size > 0 && this.connected.length === this.peers.size;
  }

  /** A user of the channel. Who joins calls those who are there (offer); they wait for it. */
  add(user: string, offer: boolean): void {
    if (this.closed || user === this.options.user || this.peers.has(user)) return;
    const peer = this.begin(user);
    if (offer) this.addVoice(peer);
    this.settle();
  }

  remove(user: string): void {
    const peer = this.peers.get(user);
    if (!peer) return;
    this.peers.delete(user);
    this.end(peer);
    this.settle();
  }

  close(): void {
    this.closed = true;
    for (const peer of this.peers.values()) this.end(peer);
    this.peers.clear();
    this.gate.disconnect();
    this.outgoing.disconnect();
    this.options.voice.tap?.disconnect(this.gate);
  }

  /** A signal that the server pushed. */
  receive(signal: VoiceSignal): void {
    if (this.closed || signal.channel_id !== this.options.channel || signal.to_user_id !== this.options.user) return;
    let peer = this.peers.get(signal.from_user_id);
    const session = signal.session_id ?? "";
    if (peer && signal.type === "offer" && peer.session && peer.session !== session) { /* he began anew */
      this.remove(peer.user);
      peer = undefined;
    }
    if (!peer && signal.type !== "offer") return; /* of somebody who has gone */
    peer ??= this.begin(signal.from_user_id);
    peer.session = session;
    const taken = peer;
    peer.work = peer.work.then(() => this.take(taken, signal)).catch((error) => this.onerror(taken.user, error));
    this.settle();
  }

  /** Once a frame, or a few times a second: volumes, and whether the way and the key are open. */
  update(): void {
    const { voice } = this.options;
    const now = this.gate.context.currentTime;
    this.gate.gain.setTargetAtTime(this.isDirect && voice.isOpen ? 1 : 0, now, 0.01);
    for (const peer of this.peers.values()) {
      peer.gain.gain.setTargetAtTime(voice.volumeOf(peer.client), now, 0.02);
    }
  }

  /** Who is heard directly now: user_id, and client id where clientIdOf is given. */
  get speaking(): { user: string; client: string }[] {
    return [...this.peers.values()].filter((peer) => {
      peer.analyser.getFloatTimeDomainData(this.samples);
      return loudness(this.samples) > SPEAKING_LOUDNESS;
    }).map(({ user, client }) => ({ user, client }));
  }

  private begin(user: string): Peer {
    const { context } = this.gate;
    const connection = new RTCPeerConnection({ iceServers: this.options.iceServers });
    const peer: Peer = { user, client: "", polite: this.options.user < user, session: "", connection, makingOffer: false, ignoresOffer: false,
      work: Promise.resolve(), gain: context.createGain(), analyser: context.createAnalyser(), element: null };
    peer.analyser.fftSize = this.samples.length;
    peer.gain.connect(peer.analyser);
    if (this.options.voice.output) peer.gain.connect(this.options.voice.output);
    connection.onnegotiationneeded = () => void this.offer(peer);
    connection.onicecandidate = ({ candidate }) => candidate && this.send(peer, { type: "candidate", candidate: candidate.toJSON() });
    connection.ontrack = ({ track, streams }) => this.hear(peer, streams[0] ?? new MediaStream([track]));
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") connection.restartIce();
      this.settle();
    };
    void this.options.clientIdOf?.(user).then((client) => (peer.client = client), (error) => this.onerror(user, error));
    this.peers.set(user, peer);
    return peer;
  }

  private addVoice(peer: Peer): void {
    if (peer.connection.getSenders().some((sender) => sender.track)) return; /* an offer that came brings one without */
    peer.connection.addTrack(this.outgoing.stream.getAudioTracks()[0], this.outgoing.stream);
  }

  private hear(peer: Peer, stream: MediaStream): void {
    peer.element = new Audio();
    peer.element.muted = true;
    peer.element.srcObject = stream;
    (this.gate.context as AudioContext).createMediaStreamSource(stream).connect(peer.gain);
  }

  private end(peer: Peer): void {
    const { connection } = peer;
    connection.onnegotiationneeded = connection.onicecandidate = connection.ontrack = connection.onconnectionstatechange = null;
    connection.close();
    peer.gain.disconnect();
    if (peer.element) peer.element.srcObject = null;
  }

  /** Which way the voice goes. */
  private settle(): void {
    if (this.closed) return;
    const group = this.isDirect ? 0 : this.options.group;
    const { voice } = this.options;
    if (voice.group !== group && (group === 0 || voice.groups.has(group))) voice.setGroup(group);
    this.update();
    this.onchange();
  }

  private send(peer: Peer, signal: Pick<VoiceSignal, "type" | "offer" | "answer" | "candidate">): void {
    const { user, channel, send } = this.options;
    const whole = { session_id: this.session, from_user_id: user, to_user_id: peer.user, channel_id: channel, ...signal };
    Promise.resolve(send(whole)).catch((error) => this.onerror(peer.user, error));
  }

  private async offer(peer: Peer): Promise<void> {
    try {
      peer.makingOffer = true;
      await peer.connection.setLocalDescription();
      this.send(peer, { type: "offer", offer: peer.connection.localDescription!.toJSON() });
    } catch (error) {
      if (this.peers.get(peer.user) === peer) this.onerror(peer.user, error as Error);
    } finally {
      peer.makingOffer = false;
    }
  }

  private async take(peer: Peer, signal: VoiceSignal): Promise<void> {
    const { connection } = peer;
    if (this.peers.get(peer.user) !== peer) return;
    if (signal.type === "candidate") {
      try {
        await connection.addIceCandidate(signal.candidate);
      } catch (error) {
        if (!peer.ignoresOffer) throw error;
      }
      return;
    }
    const collides = signal.type === "offer" && (peer.makingOffer || connection.signalingState !== "stable");
    peer.ignoresOffer = !peer.polite && collides;
    if (peer.ignoresOffer) return;
    await connection.setRemoteDescription((signal.type === "offer" ? signal.offer : signal.answer)!);
    if (signal.type !== "offer") return;
    this.addVoice(peer);
    await connection.setLocalDescription();
    this.send(peer, { type: "answer", answer: connection.localDescription!.toJSON() });
  }
}
