/** Where things are: the world from above, as state.subscribe tells it, and how many are in each zone. */
import type { Rpc } from "./dashboard_api";

interface Entity {
  entity: number;
  type: string;
  fields: Record<string, unknown>; /* those that changed */
}

interface Changed {
  entities: Entity[];
  gone?: number[];
}

const CELLS = 4; /* zones a side where the world has no names for them */

export class WorldMap {
  private readonly canvas = document.getElementById("map") as HTMLCanvasElement;
  private readonly entities = new Map<number, Entity>();
  private readonly rpc: Rpc;
  private due = false;

  constructor(rpc: Rpc) {
    this.rpc = rpc;
    rpc.on<{ state: Changed }>("state.changed", (news) => this.take(news.state));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async begin(): Promise<void> {
    this.entities.clear();
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

  /** [x, y, type] of all that have a position. */
  private places(): [number, number, string][] {
    const found: [number, number, string][] = [];
    for (const entity of this.entities.values()) {
      const position = entity.fields["position"] as number[] | undefined;
      if (Array.isArray(position) && position.length >= 2) found.push([position[0]!, position[1]!, entity.type]);
    }
    return found;
  }

  private draw(): void {
    const places = this.places();
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const to = this.canvas.getContext("2d")!;
    to.scale(ratio, ratio);
    const note = document.getElementById("zone-note")!;
    note.textContent = places.length ? `${this.entities.size} things in the world` : "the world is empty, or tells no positions";
    if (!places.length) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue("--" + name).trim();
    const right = Math.max(...places.map(([x]) => x), 1);
    const bottom = Math.max(...places.map(([, y]) => y), 1);
    const left = Math.min(...places.map(([x]) => x), 0);
    const top = Math.min(...places.map(([, y]) => y), 0);
    const scale = Math.min((width - 16) / (right - left), (height - 16) / (bottom - top));
    const counts = new Array<number>(CELLS * CELLS).fill(0);
    for (const [x, y] of places) {
      const column = Math.min(CELLS - 1, Math.floor(((x - left) / (right - left)) * CELLS));
      const row = Math.min(CELLS - 1, Math.floor(((y - top) / (bottom - top)) * CELLS));
      counts[row * CELLS + column]!++;
    }
    const most = Math.max(...counts);
    const cellWidth = ((right - left) * scale) / CELLS;
    const cellHeight = ((bottom - top) * scale) / CELLS;
    counts.forEach((count, index) => {
      to.globalAlpha = 0.25 * (count / most);
      to.fillStyle = colour("one");
      to.fillRect(8 + (index % CELLS) * cellWidth, 8 + Math.floor(index / CELLS) * cellHeight, cellWidth - 1, cellHeight - 1);
    });
    to.globalAlpha = 1;
    for (const [x, y, type] of places) {
      to.fillStyle = colour(type === "player" ? "two" : type === "wanderer" ? "quiet" : "three");
      to.beginPath();
      to.arc(8 + (x - left) * scale, 8 + (y - top) * scale, type === "player" ? 4 : 2, 0, 7);
      to.fill();
    }
    this.list(places);
  }

  private list(places: [number, number, string][]): void {
    const types = new Map<string, number>();
    for (const [, , type] of places) types.set(type, (types.get(type) ?? 0) + 1);
    document.getElementById("zones")!.replaceChildren(...[...types].map(([type, count]) => {
      const item = document.createElement("li");
      item.textContent = `${count} ${type}${count === 1 ? "" : "s"}`;
      return item;
    }));
  }
}
