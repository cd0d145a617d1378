/** Where things are: the world from above, as state.subscribe tells it, with its zones by name and how many are in each. */
import { ask, type Rpc } from "./dashboard_api";

interface Entity {
  entity: number;
  type: string;
  fields: Record<string, unknown>; /* those that changed */
}

interface Changed {
  entities: Entity[];
  gone?: number[];
}

/** A part of the world that the game names (GET /api/v1/game). */
interface Zone {
  name: string;
  area: [number, number, number, number]; /* left, top, right, bottom */
}

type Place = [x: number, y: number, type: string];

const HEIGHT_MAX = 300;
const CELLS = 3; /* zones a side where the game names none: A1 is at the top left */

function zonesOf(game: unknown): Zone[] {
  const games = (Array.isArray(game) ? game : [game]) as { zones?: Zone[] }[]; /* several workers: a list */
  const zones = games.find((one) => Array.isArray(one?.zones))?.zones ?? [];
  return zones.filter((zone) => typeof zone.name === "string" && Array.isArray(zone.area) && zone.area.length === 4 && zone.area.every(Number.isFinite));
}

function gridOf(left: number, top: number, right: number, bottom: number): Zone[] {
  return Array.from({ length: CELLS * CELLS }, (_, index) => {
    const column = index % CELLS;
    const row = Math.floor(index / CELLS);
    const x = (part: number) => left + ((right - left) * part) / CELLS;
    const y = (part: number) => top + ((bottom - top) * part) / CELLS;
    return { name: "ABC"[column]! + (row + 1), area: [x(column), y(row), x(column + 1), y(row + 1)] };
  });
}

export class WorldMap {
  private readonly canvas = document.getElementById("map") as HTMLCanvasElement;
  private readonly entities = new Map<number, Entity>();
  private readonly rpc: Rpc;
  private named: Zone[] = [];
  private due = false;

  constructor(rpc: Rpc) {
    this.rpc = rpc;
    rpc.on<{ state: Changed }>("state.changed", (news) => this.take(news.state));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async begin(): Promise<void> {
    this.entities.clear();
    this.named = await ask<unknown>("/api/v1/game").then(zonesOf, () => []); /* a map without names is a map */
    const answer = await this.rpc.call<{ state: Changed }>("state.subscribe", {});
    this.take(answer.state);
  }

  private take(changes: Changed): void {
    for (const id of changes.gone ?? []) this.entities.delete(id);
    for (const news of changes.entities) {
      this.entities.set(news.entity, { ...news, fields: { ...this.entities.get(news.entity)?.fields, ...news.fields } });
    }
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.draw();
    });
  }

  private places(): Place[] {
    const found: Place[] = [];
    for (const entity of this.entities.values()) {
      const position = entity.fields["position"] as number[] | undefined;
      if (Array.isArray(position) && position.length >= 2) found.push([position[0]!, position[1]!, entity.type]);
    }
    return found;
  }

  private draw(): void {
    const places = this.places();
    const note = document.getElementById("zone-note")!;
    note.textContent = places.length ? `${this.entities.size} things in the world` : "the world is empty, or tells no positions";
    if (!places.length) {
      document.getElementById("zones")!.replaceChildren();
      return;
    }
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue("--" + name).trim();
    const edges = this.named.map((zone) => zone.area);
    const right = Math.max(...places.map(([x]) => x), ...edges.map((area) => area[2]), 1);
    const bottom = Math.max(...places.map(([, y]) => y), ...edges.map((area) => area[3]), 1);
    const left = Math.min(...places.map(([x]) => x), ...edges.map((area) => area[0]), 0);
    const top = Math.min(...places.map(([, y]) => y), ...edges.map((area) => area[1]), 0);
    const ratio = devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = Math.min(HEIGHT_MAX, Math.round(((bottom - top) / (right - left)) * (width - 16)) + 16);
    this.canvas.style.height = height + "px";
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const to = this.canvas.getContext("2d")!;
    to.scale(ratio, ratio);
    const scale = Math.min((width - 16) / (right - left), (height - 16) / (bottom - top));
    const at = (x: number, y: number): [number, number] => [8 + (x - left) * scale, 8 + (y - top) * scale];
    const zones = this.named.length ? this.named : gridOf(left, top, right, bottom);
    const inside = zones.map((zone) => places.filter(([x, y]) => x >= zone.area[0] && x < zone.area[2] && y >= zone.area[1] && y < zone.area[3]));
    const most = Math.max(...inside.map((those) => those.length), 1);
    zones.forEach(({ area }, index) => {
      const [x, y] = at(area[0], area[1]);
      to.globalAlpha = 0.06 + 0.2 * (inside[index]!.length / most);
      to.fillStyle = colour("one");
      to.fillRect(x, y, (area[2] - area[0]) * scale - 1, (area[3] - area[1]) * scale - 1);
    });
    to.globalAlpha = 1;
    for (const [x, y, type] of places) {
      to.fillStyle = colour(type === "player" ? "two" : type === "wanderer" ? "quiet" : "three");
      to.beginPath();
      to.arc(...at(x, y), type === "player" ? 4 : 2, 0, 7);
      to.fill();
    }
    to.font = `600 12px ${style.fontFamily || "sans-serif"}`;
    to.textBaseline = "top";
    zones.forEach(({ name, area }) => {
      const [x, y] = at(area[0], area[1]);
      to.lineWidth = 3; /* readable over whatever stands there */
      to.strokeStyle = colour("ground");
      to.fillStyle = colour("text");
      to.strokeText(name, x + 5, y + 5, (area[2] - area[0]) * scale - 10);
      to.fillText(name, x + 5, y + 5, (area[2] - area[0]) * scale - 10);
    });
    this.list(zones, inside);
  }

  /** The same in words: what a screen reader has of the map. */
  private list(zones: Zone[], inside: Place[][]): void {
    document.getElementById("zones")!.replaceChildren(...zones.map(({ name }, index) => {
      const types = new Map<string, number>();
      for (const [, , type] of inside[index]!) types.set(type, (types.get(type) ?? 0) + 1);
      const item = document.createElement("li");
      const bold = document.createElement("b");
      bold.textContent = name;
      const counts = [...types].sort(([a], [b]) => (a < b ? -1 : 1)).map(([type, count]) => `${count} ${type}${count === 1 ? "" : "s"}`);
      item.append(bold, " " + (counts.join(", ") || "nothing"));
      return item;
    }));
  }
}
