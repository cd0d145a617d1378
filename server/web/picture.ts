/** The canvas: the arena from above, whole where there is room, else around the own player. */

import type { Entity } from "../../wasm/src/index";

export interface Map {
  width: number;
  height: number;
  playerRadius: number;
  wandererRadius: number;
  walls: [number, number, number, number][];
}

const SCALE_MIN = 19; /* pixels a unit; where the whole arena needs less, the picture follows the player */
const EASE_MS = 28;   /* own moves come in ticks, frames come as they like: ease between them */
const FAR = 3;        /* units; a jump, not a move */

function colourOf(number: number): string {
  return "#" + (number & 0xffffff).toString(16).padStart(6, "0");
}

export class Picture {
  private readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;
  private readonly map: Map;
  private colours: Record<string, string> = {};
  private eased: [number, number] | null = null;
  private easedId = 0;
  private lastMs = 0;
  private scale = 1;
  private left = 0;
  private top = 0;

  constructor(canvas: HTMLCanvasElement, map: Map) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d")!;
    this.map = map;
    this.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.readColours());
  }

  private readColours(): void {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["floor", "grid", "wall", "wall-edge", "label", "halo", "quiet", "ground", "line"]) {
      this.colours[name] = style.getPropertyValue("--" + name).trim();
    }
  }

  /** Where a place of the world is, in pixels of the canvas. */
  private place(x: number, y: number): [number, number] {
    return [this.left + x * this.scale, this.top + y * this.scale];
  }

  private ease(own: Entity | undefined, nowMs: number): void {
    if (!own) {
      this.eased = null;
      return;
    }
    const [x, y] = own.position as [number, number];
    const jumped = !this.eased || own.id !== this.easedId || Math.hypot(x - this.eased[0], y - this.eased[1]) > FAR;
    const part = jumped ? 1 : 1 - Math.exp(-(nowMs - this.lastMs) / EASE_MS);
    const from = this.eased ?? [x, y];
    this.eased = [from[0] + (x - from[0]) * part, from[1] + (y - from[1]) * part];
    this.easedId = own.id;
  }

  private fit(): void {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { width: mapWidth, height: mapHeight } = this.map;
    this.scale = Math.max(Math.min(width / mapWidth, height / mapHeight), SCALE_MIN);
    const centre = this.eased ?? [mapWidth / 2, mapHeight / 2];
    const along = (room: number, size: number, at: number) => room >= size * this.scale ? (room - size * this.scale) / 2
      : Math.min(0, Math.max(room - size * this.scale, room / 2 - at * this.scale));
    this.left = along(width, mapWidth, centre[0]);
    this.top = along(height, mapHeight, centre[1]);
  }

  private drawMap(): void {
    const { context, map, colours, scale } = this;
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    const [left, top] = this.place(0, 0);
    context.fillStyle = colours.floor;
    context.fillRect(left, top, map.width * scale, map.height * scale);
    context.strokeStyle = colours.grid;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = 2; x < map.width; x += 2) {
      context.moveTo(Math.round(left + x * scale) + 0.5, top);
      context.lineTo(Math.round(left + x * scale) + 0.5, top + map.height * scale);
    }
    for (let y = 2; y < map.height; y += 2) {
      context.moveTo(left, Math.round(top + y * scale) + 0.5);
      context.lineTo(left + map.width * scale, Math.round(top + y * scale) + 0.5);
    }
    context.stroke();
    context.strokeStyle = colours.line;
    context.strokeRect(left + 0.5, top + 0.5, map.width * scale - 1, map.height * scale - 1);
    context.fillStyle = colours.wall;
    for (const [l, t, r, b] of map.walls) {
      context.fillRect(left + l * scale, top + t * scale, (r - l) * scale, (b - t) * scale);
    }
    context.fillStyle = colours["wall-edge"];
    for (const [l, , r, b] of map.walls) {
      context.fillRect(left + l * scale, top + b * scale - Math.max(2, scale * 0.12), (r - l) * scale, Math.max(2, scale * 0.12));
    }
  }

  /** A player beyond the edge: a mark there says where. */
  private drawBeyond(player: Entity, x: number, y: number): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { context } = this;
    const angle = Math.atan2(y - height / 2, x - width / 2);
    context.save();
    context.translate(Math.max(9, Math.min(width - 9, x)), Math.max(9, Math.min(height - 9, y)));
    context.rotate(angle);
    context.fillStyle = colourOf(player.colour);
    context.beginPath();
    context.moveTo(6, 0);
    context.lineTo(-4, -5);
    context.lineTo(-4, 5);
    context.fill();
    context.restore();
  }

  private drawPlayer(player: Entity, x: number, y: number): void {
    const { context, colours } = this;
    const radius = this.map.playerRadius * this.scale;
    const out = (at: number, room: number) => at < -radius || at > room + radius;
    if (out(x, this.canvas.clientWidth) || out(y, this.canvas.clientHeight)) {
      this.drawBeyond(player, x, y);
      return;
    }
    const aim = player.aim as number;
    context.fillStyle = context.strokeStyle = colourOf(player.colour);
    if (player.own) {
      context.globalAlpha = 0.35;
      context.lineWidth = Math.max(2, radius * 0.2);
      context.beginPath();
      context.arc(x, y, radius * 1.38, 0, 2 * Math.PI);
      context.stroke();
      context.globalAlpha = 1;
    }
    context.lineWidth = Math.max(3, radius * 0.42);
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + Math.cos(aim) * radius * 1.4, y + Math.sin(aim) * radius * 1.4);
    context.stroke();
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "rgba(255,255,255,.28)";
    context.beginPath();
    context.arc(x - radius * 0.25, y - radius * 0.28, radius * 0.45, 0, 2 * Math.PI);
    context.fill();
    context.font = `${player.own ? "650" : "500"} ${Math.max(11, Math.min(14, radius * 1.1))}px system-ui, "DejaVu Sans", sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "bottom";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = colours.halo;
    context.fillStyle = colours.label;
    const nameY = y - radius * 1.55 < 16 ? y + radius * 1.6 + 16 : y - radius * 1.55;
    const half = context.measureText(player.name).width / 2 + 3;
    const nameX = Math.max(half, Math.min(this.canvas.clientWidth - half, x));
    context.strokeText(player.name, nameX, nameY);
    context.fillText(player.name, nameX, nameY);
  }

  /** Draw one frame; returns where the own player is, in pixels, or null. */
  draw(entities: readonly Entity[], nowMs: number): [number, number] | null {
    const { context } = this;
    const own = entities.find((one) => one.own && one.type === "player");
    this.ease(own, nowMs);
    this.lastMs = nowMs;
    this.fit();
    this.drawMap();
    for (const wanderer of entities) {
      if (wanderer.type !== "wanderer") continue;
      const [x, y] = this.place(wanderer.position[0], wanderer.position[1]);
      context.fillStyle = colourOf(wanderer.colour);
      context.beginPath();
      context.arc(x, y, this.map.wandererRadius * this.scale, 0, 2 * Math.PI);
      context.fill();
      if (wanderer.holder === 0) continue;
      context.fillStyle = this.colours.floor;
      context.beginPath();
      context.arc(x, y, this.map.wandererRadius * this.scale * 0.42, 0, 2 * Math.PI);
      context.fill();
    }
    for (const player of entities) {
      if (player.type !== "player" || player === own) continue;
      this.drawPlayer(player, ...this.place(player.position[0], player.position[1]));
    }
    if (!own || !this.eased) return null;
    const at = this.place(this.eased[0], this.eased[1]);
    this.drawPlayer(own, ...at);
    return at;
  }
}
