/**
 * What runs on the thread of the sound card: takes the microphone in portions of 10 ms, plays what it was given. Each 10 ms it
 * says to voice.ts what it heard, and how much it has played.
 */

/** From here to voice.ts. */
export interface WorkletSaid {
  /** 10 ms of the microphone, mono; null while none is connected. */
  sound: Float32Array | null;
  /** Frames played since the start, and those for which nothing was there. */
  played: number;
  missed: number;
}

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: unknown): void;

const PORTION = 480; /* 10 ms at 48 kHz */

class VoiceProcessor extends AudioWorkletProcessor {
  private sound = new Float32Array(PORTION);
  private heard = 0;
  private connected = false;
  private readonly waiting: Float32Array[] = []; /* two channels, interleaved */
  private at = 0;                                /* in the first of them, in frames */
  private played = 0;
  private missed = 0;
  private begun = false;
  private over = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data) this.waiting.push(data);
      else this.over = true;
    };
  }

  private play(left: Float32Array, right: Float32Array): void {
    for (let i = 0; i < left.length; i++) {
      const first = this.waiting[0];
      if (!first) {
        if (this.begun) this.missed++;
        continue;
      }
      this.begun = true;
      left[i] = first[this.at * 2];
      right[i] = first[this.at * 2 + 1];
      this.played++;
      if (++this.at * 2 < first.length) continue;
      this.waiting.shift();
      this.at = 0;
    }
  }

  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const [left, right] = outputs[0];
    const input = inputs[0][0]; /* undefined while nothing is connected */
    this.play(left, right ?? left);
    for (let i = 0; i < left.length; i++) {
      if (input) {
        this.connected = true;
        this.sound[this.heard] = input[i];
      }
      if (++this.heard < PORTION) continue;
      const said: WorkletSaid = { sound: this.connected ? this.sound : null, played: this.played, missed: this.missed };
      this.port.postMessage(said, this.connected ? [this.sound.buffer] : []);
      this.sound = new Float32Array(PORTION);
      this.connected = false;
      this.heard = 0;
    }
    return !this.over;
  }
}

registerProcessor("necpnet-voice", VoiceProcessor);
