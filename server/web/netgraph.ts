/** The small plot of the network: round trip as a line, received bytes as bars, corrections as marks; and the figures. */

import type { Client } from "../../wasm/src/index";

interface Sample {
  rttMs: number;
  bytesPerS: number;
  corrected: boolean;
  connected: boolean;
}

const SAMPLES = 100;
const SAMPLE_MS = 200;

function show(id: string, text: string): void {
  const element = document.getElementById(id)!;
  if (element.textContent !== text) element.textContent = text;
}

function milliseconds(us: number): string {
  return us < 9950 ? `${(us / 1000).toFixed(1)} ms` : `${Math.round(us / 1000)} ms`;
}

function rate(bytes: number): string {
  return bytes < 1000 ? `${Math.round(bytes)} B/s` : `${(bytes / 1000).toFixed(1)} kB/s`;
}

export class Netgraph {
  private readonly canvas: HTMLCanvasElement;
  private readonly samples: Sample[] = [];
  private lastMs = -Infinity;
  private corrections = 0;
  private updates = 0;
  private stateBytes = 0;
  private bitsAnUpdate = 0;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
  }

  update(client: Client, nowMs: number): void {
    if (nowMs - this.lastMs < SAMPLE_MS) return;
    this.lastMs = nowMs;
    const figures = client.statistics;
    const connected = client.state === "connected";
    this.samples.push({
      rttMs: figures.rttUs / 1000,
      bytesPerS: figures.receiveBytesPerS,
      corrected: figures.corrections > this.corrections,
      connected,
    });
    this.corrections = figures.corrections;
    const updates = figures.updates - this.updates;
    if (updates > 0) this.bitsAnUpdate += (((figures.stateBytes - this.stateBytes) * 8) / updates - this.bitsAnUpdate) / 5;
    if (updates < 0) this.bitsAnUpdate = 0;
    this.updates = figures.updates;
    this.stateBytes = figures.stateBytes;
    if (this.samples.length > SAMPLES) this.samples.shift();
    show("rtt", connected && figures.rttUs > 0 ? milliseconds(figures.rttUs) : "–");
    show("jitter", connected ? milliseconds(figures.jitterUs) : "–");
    show("received", connected ? rate(figures.receiveBytesPerS) : "–");
    show("sent", connected ? rate(figures.sendBytesPerS) : "–");
    show("interpolation", connected ? milliseconds(figures.interpolationDelayUs) : "–");
    show("corrections", String(figures.corrections));
    show("bits", connected && this.bitsAnUpdate > 0 ? `${this.bitsAnUpdate.toFixed(1)} bits` : "–");
    this.draw();
  }

  private draw(): void {
    const { canvas, samples } = this;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = canvas;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const context = canvas.getContext("2d")!;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    context.scale(ratio, ratio);
    const rttMax = Math.max(20, ...samples.map((one) => one.rttMs)) * 1.25;
    const rateMax = Math.max(2000, ...samples.map((one) => one.bytesPerS)) * 1.6;
    const step = width / SAMPLES;
    const x = (i: number) => width - (samples.length - i) * step;
    const y = (ms: number) => height - 2 - (ms / rttMax) * (height - 8);
    context.fillStyle = colour("--line");
    samples.forEach((one, i) => {
      const bar = one.connected ? (one.bytesPerS / rateMax) * height : 0;
      context.fillRect(x(i), height - bar, Math.max(1, step - 0.5), bar);
    });
    context.fillStyle = colour("--bad");
    samples.forEach((one, i) => {
      if (!one.connected) context.fillRect(x(i), height - 3, step + 0.5, 3);
    });
    context.fillStyle = colour("--busy");
    samples.forEach((one, i) => {
      if (one.corrected) context.fillRect(x(i), 0, Math.max(1.5, step - 0.5), 5);
    });
    context.strokeStyle = colour("--accent");
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    samples.forEach((one, i) => {
      if (!one.connected) {
        pen = false;
        return;
      }
      if (pen) context.lineTo(x(i) + step / 2, y(one.rttMs));
      else context.moveTo(x(i) + step / 2, y(one.rttMs));
      pen = true;
    });
    context.stroke();
    context.fillStyle = colour("--quiet");
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "top";
    context.fillText(`${Math.round(rttMax)} ms`, 5, 5);
  }
}
