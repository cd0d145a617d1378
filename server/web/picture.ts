/** The canvas: the arena from above, whole where there is room, else around the own player. */

import type { Entity } from "../../wasm/src/index";

export interface Map {
  width: number;
  height: number;
  playerRadius: number;
  wandererRadius: number;
  vehicleRadius: number;
  healthMax: number;
  walls: [number, number, number, number][];
}

const SCALE_MIN = 19; /* pixels a unit; where the whole arena needs less, the picture follows the player */
const EASE_MS = 28;   /* own moves come in ticks, frames come as they like: ease between them */
const FAR = 3;        /* units; a jump, not a move */
const SHOT_MS = 160;  /* how long a shot is seen */

/** A shot, in units. */
export interface Shot {
  from: [number, number];
  to: [number, number];
  hit: boolean;
  colour: number;
  atMs: number;
}

function colourOf(number: number): string {
  return "#" + (number & 0xffffff).toString(16).padStart(6, "0");
}

export type Latest = (id: number) => { tick: number; position: [number, number] } | null;

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
  private shots: Shot[] = [];

  /** Ids of players whose voices are heard. */
  speaking: ReadonlySet<number> = new Set();

  constructor(canvas: HTMLCanvasElement, map: Map) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d")!;
    this.map = map;
    this.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.readColours());
  }

  private readColours(): void {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["floor", "grid", "wall", "wall-edge", "label", "halo", "quiet", "ground", "line", "good"]) {
      this.colours[name] = style.getPropertyValue("--" + name).trim();
    }
  }

  addShot(shot: Shot): void {
    this.shots.push(shot);
  }

  private drawShots(nowMs: number): void {
    const { context } = this;
    this.shots = this.shots.filter((shot) => nowMs - shot.atMs < SHOT_MS);
    for (const shot of this.shots) {
      const [x, y] = this.place(...shot.to);
      context.globalAlpha = 1 - Math.max(0, nowMs - shot.atMs) / SHOT_MS;
      context.strokeStyle = context.fillStyle = colourOf(shot.colour);
      context.lineWidth = Math.max(1.5, this.scale * 0.09);
      context.beginPath();
      context.moveTo(...this.place(...shot.from));
      context.lineTo(x, y);
      context.stroke();
      if (shot.hit) {
        context.beginPath();
        context.arc(x, y, this.scale * 0.35, 0, 2 * Math.PI);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  private drawVehicle(vehicle: Entity): void {
    const { context, colours, scale } = this;
    const [x, y] = this.place(vehicle.position[0], vehicle.position[1]);
    const half = this.map.vehicleRadius * scale;
    context.save();
    context.translate(x, y);
    context.rotate(vehicle.heading);
    context.fillStyle = colours.wall;
    context.strokeStyle = colours["wall-edge"];
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(-half, -half, half * 2, half * 2, half * 0.3);
    context.fill();
    context.stroke();
    context.beginPath();
    context.moveTo(half * 0.45, -half * 0.4);
    context.lineTo(half * 0.8, 0);
    context.lineTo(half * 0.45, half * 0.4);
    context.stroke();
    context.restore();
  }

  /** Where the server's newest word has an entity: a dashed outline, and a line to where it is shown. */
  private drawGhost(radius: number, shown: [number, number], latest: [number, number]): void {
    const { context } = this;
    const [x, y] = this.place(...latest);
    context.strokeStyle = this.colours.label;
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.arc(x, y, radius * this.scale, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(...this.place(...shown));
    context.lineTo(x, y);
    context.stroke();
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
    if (this.speaking.has(player.id)) this.drawVoice(x, y, radius);
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
    if ((player.health as number) < this.map.healthMax) this.drawHealth(player.health as number, x, y + radius * 1.45, radius);
    const nameY = y - radius * 1.55 < 16 ? y + radius * 1.6 + 16 : y - radius * 1.55;
    const half = context.measureText(player.name).width / 2 + 3;
    const nameX = Math.max(half, Math.min(this.canvas.clientWidth - half, x));
    context.strokeText(player.name, nameX, nameY);
    context.fillText(player.name, nameX, nameY);
  }

  /** Somebody speaks. */
  private drawVoice(x: number, y: number, radius: number): void {
    const { context, colours } = this;
    context.strokeStyle = colours.good;
    context.lineWidth = Math.max(1.5, radius * 0.14);
    context.lineCap = "round";
    for (const [distance, half] of [[1.75, 0.5], [2.2, 0.62]]) {
      for (const side of [0, Math.PI]) {
        context.beginPath();
        context.arc(x, y, radius * distance, side - half, side + half);
        context.stroke();
      }
    }
  }

  private drawHealth(health: number, x: number, y: number, radius: number): void {
    const { context, map, colours } = this;
    const width = (radius * 2) / map.healthMax;
    for (let i = 0; i < map.healthMax; i++) {
      context.fillStyle = i < health ? colours.good : colours.wall;
      context.fillRect(x - radius + i * width + 0.5, y, width - 1, Math.max(2, radius * 0.2));
    }
    context.fillStyle = colours.label;
  }

  /** A rider stands still on its vehicle: it is drawn with it, not behind it by prediction. */
  private placeOf(player: Entity, entities: readonly Entity[], latest: Latest): [number, number] {
    const at = player.position as [number, number];
    const vehicle = player.ride ? entities.find((one) => one.id === player.ride) : undefined;
    const said = vehicle && latest(player.id);
    const carried = vehicle && latest(vehicle.id);
    if (!vehicle || !said || !carried || said.tick !== carried.tick) return at;
    return [vehicle.position[0] + said.position[0] - carried.position[0], vehicle.position[1] + said.position[1] - carried.position[1]];
  }

  /**
   * Draw one frame; returns where the own player is, in pixels, or null. latest: the server's newest word about an entity; with
   * ghosts it is drawn, too.
   */
  draw(entities: readonly Entity[], nowMs: number, latest: Latest, ghosts: boolean): [number, number] | null {
    const { context } = this;
    const own = entities.find((one) => one.own && one.type === "player");
    this.ease(own, nowMs);
    this.lastMs = nowMs;
    this.fit();
    this.drawMap();
    for (const vehicle of entities) {
      if (vehicle.type === "vehicle") this.drawVehicle(vehicle);
    }
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
      this.drawPlayer(player, ...this.place(...this.placeOf(player, entities, latest)));
    }
    const at = own && this.eased ? this.place(...(own.ride ? this.placeOf(own, entities, latest) : this.eased)) : null;
    if (own && at) this.drawPlayer(own, ...at);
    this.drawShots(nowMs);
    if (ghosts) this.drawGhosts(entities, latest);
    return at;
  }

  private drawGhosts(entities: readonly Entity[], latest: Latest): void {
    const radius: Record<string, number> = { player: this.map.playerRadius, wanderer: this.map.wandererRadius, vehicle: this.map.vehicleRadius };
    for (const one of entities) {
      const said = latest(one.id);
      if (said) this.drawGhost(radius[one.type], one.position as [number, number], said.position);
    }
  }
}
