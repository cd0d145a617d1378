/** The event inspector: what is published on topics, decoded by the schema of its type; filter and pause. */
import type { Rpc } from "./dashboard_api";

const KEPT = 500;

interface Schema {
  description?: string;
  type?: string;
  properties?: Record<string, Schema>;
}

interface Published {
  topic: string;
  offset: number;
  event: { type: string; version?: number; from?: string; at?: string; data?: Record<string, unknown> };
}

interface Row extends Published {
  at: Date;
  text: string;
}

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

export class Events {
  private readonly rpc: Rpc;
  private readonly topics = new Set<string>();
  private readonly schemas = new Map<string, Schema>();
  private rows: Row[] = [];
  private missed = 0;

  constructor(rpc: Rpc) {
    this.rpc = rpc;
    rpc.on<Published>("topic.message", (message) => this.take(message));
    element("event-subscribe").onclick = () => void this.subscribe(element<HTMLInputElement>("event-topic").value.trim());
    element<HTMLInputElement>("event-topic").onkeydown = (key) => {
      if (key.key === "Enter") element("event-subscribe").click();
    };
    element("event-filter").oninput = () => this.draw();
    element("event-pause").onchange = () => this.draw();
    element("event-clear").onclick = () => {
      this.rows = [];
      this.missed = 0;
      this.draw();
    };
    this.drawTopics();
  }

  /** After each connect: the schemas, and all topics again. */
  async begin(): Promise<void> {
    const { types } = await this.rpc.call<{ types: (Schema & { title?: string; "x-version"?: number })[] }>("event.types", {});
    for (const schema of types) this.schemas.set(`${schema.title}.${schema["x-version"] ?? 1}`, schema);
    for (const topic of [...this.topics]) await this.request(topic);
  }

  private async subscribe(topic: string): Promise<void> {
    if (!topic || this.topics.has(topic)) return;
    this.topics.add(topic);
    this.drawTopics();
    if (this.rpc.isOpen) await this.request(topic); /* else begin does */
  }

  private async request(topic: string): Promise<void> {
    try {
      await this.rpc.call("topic.subscribe", { topic });
    } catch (error) {
      if (!this.rpc.isOpen) return;
      this.topics.delete(topic);
      this.drawTopics((error as Error).message);
    }
  }

  private drawTopics(problem = ""): void {
    const place = element("subscriptions");
    place.replaceChildren(...[...this.topics].map((topic) => {
      const chip = document.createElement("button");
      chip.className = "plain";
      chip.textContent = topic + " ×";
      chip.title = "Unsubscribe";
      chip.onclick = () => {
        this.topics.delete(topic);
        void this.rpc.call("topic.unsubscribe", { topic }).catch(() => {});
        this.drawTopics();
      };
      return chip;
    }));
    if (problem) {
      const note = document.createElement("span");
      note.className = "bad";
      note.textContent = problem;
      place.append(note);
    } else if (!this.topics.size) {
      place.append("No topic yet: name one and subscribe.");
    }
  }

  private take(message: Published): void {
    const row: Row = { ...message, at: new Date(), text: JSON.stringify(message).toLowerCase() };
    this.rows.unshift(row);
    this.rows.length = Math.min(this.rows.length, KEPT);
    this.missed++;
    this.draw();
  }

  private draw(): void {
    const paused = element<HTMLInputElement>("event-pause").checked;
    if (!paused) this.missed = 0;
    element("event-missed").textContent = this.missed ? `${this.missed} new` : "";
    if (paused) return;
    const wanted = element<HTMLInputElement>("event-filter").value.trim().toLowerCase();
    const shown = this.rows.filter((row) => !wanted || row.text.includes(wanted)).slice(0, 100);
    document.querySelector("#events tbody")!.replaceChildren(...shown.map((row) => this.line(row)));
  }

  private line(row: Row): HTMLTableRowElement {
    const line = document.createElement("tr");
    const cell = (text: string) => {
      const made = document.createElement("td");
      made.textContent = text;
      line.append(made);
      return made;
    };
    const { event } = row;
    cell(row.at.toLocaleTimeString());
    cell(`${row.topic} #${row.offset}`);
    cell(event.type + (event.version && event.version > 1 ? `.${event.version}` : ""));
    cell(event.from ?? "");
    const schema = this.schemas.get(`${event.type}.${event.version ?? 1}`);
    const list = document.createElement("dl");
    for (const [name, value] of Object.entries(event.data ?? {})) {
      const about = schema?.properties?.[name]?.description;
      const term = document.createElement("dt");
      const said = document.createElement("dd");
      term.textContent = name;
      if (about) term.title = about;
      said.textContent = typeof value === "string" ? value : JSON.stringify(value);
      list.append(term, said);
    }
    cell("").append(list);
    return line;
  }
}
