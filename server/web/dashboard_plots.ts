/** Lines over time, by uPlot, in the page's own colours. */
import uPlot from "uplot";

export interface Line {
  label: string;
  colour: string; /* a custom property */
}

/** 1234567 -> "1.2 M". */
export function short(value: number | null): string {
  if (value === null || !isFinite(value)) return "–";
  const size = Math.abs(value);
  for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (size >= limit) return (value / limit).toFixed(size >= limit * 100 ? 0 : 1) + " " + unit;
  }
  return size >= 10 || size === 0 ? value.toFixed(0) : value.toFixed(1);
}

/** 1763766000 -> "23:00", with fine "23:00:00". */
function clock(seconds: number, fine: boolean): string {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...(fine ? { second: "2-digit" } : {}) });
}

const HEIGHT = 190;

export class Plot {
  private readonly place: HTMLElement;
  private readonly lines: Line[];
  private plot: uPlot | null = null;
  private data: uPlot.AlignedData = [[]];

  constructor(id: string, lines: Line[]) {
    this.place = document.getElementById(id)!;
    this.lines = lines;
    new ResizeObserver(() => this.plot?.setSize({ width: this.place.clientWidth, height: HEIGHT })).observe(this.place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
  }

  /** times in seconds since 1970; null: nothing was measured. */
  show(times: number[], values: (number | null)[][]): void {
    this.data = [times, ...values] as uPlot.AlignedData;
    this.draw(false);
  }

  private draw(anew: boolean): void {
    if (this.plot && !anew) {
      this.plot.setData(this.data);
      return;
    }
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue("--" + name).trim();
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 } };
    this.plot = new uPlot({
      width: this.place.clientWidth, height: HEIGHT,
      cursor: { points: { size: 6 } },
      scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, space: 80, values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => clock(tick, step < 60)) }, { ...axis, size: 56, values: (_plot, ticks) => ticks.map((tick) => short(tick)) }],
      series: [{ value: (_plot: uPlot, time: number | null) => (time === null ? "–" : clock(time, true)) }, ...this.lines.map((line) => ({
        label: line.label, stroke: colour(line.colour), width: 1.5, points: { show: false },
        value: (_plot: uPlot, value: number | null) => short(value),
      }))],
    }, this.data, this.place);
  }
}
