/** What the player wants: keyboard, mouse and touch, as the arena's four bytes of input. */

export interface Wish {
  /** -127 .. 127 each; down is positive. */
  x: number;
  y: number;
  /** Radians, 0 to the right, clockwise. */
  aim: number;
  run: boolean;
  fire: boolean;
  ride: boolean;
}

const KEYS: Record<string, [number, number]> = {
  KeyW: [0, -1], KeyS: [0, 1], KeyA: [-1, 0], KeyD: [1, 0],
  ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0],
};
const STICK_PIXELS = 48; /* full speed; beyond it runs */

export class Controls {
  /** Set by scripts (tests): goes before the player's own. */
  forced: Wish | null = null;
  private readonly held = new Set<string>();
  private readonly stick: HTMLElement;
  private stickPointer = -1;
  private stickFrom = [0, 0];
  private stickBy = [0, 0];
  private mouse: [number, number] | null = null;
  private aim = 0;
  private firing = false;

  constructor(canvas: HTMLCanvasElement, stick: HTMLElement) {
    this.stick = stick;
    const typing = () => document.activeElement instanceof HTMLInputElement;
    addEventListener("keydown", (event) => {
      if (typing() || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.code in KEYS || event.code === "Space") event.preventDefault();
      this.held.add(event.code);
    });
    addEventListener("keyup", (event) => this.held.delete(event.code));
    addEventListener("blur", () => {
      this.held.clear();
      this.firing = false;
    });
    addEventListener("focusin", () => typing() && this.held.clear());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      if (event.pointerType === "mouse" && event.button === 0) this.firing = true;
      if (event.pointerType !== "mouse" && this.stickPointer >= 0) this.firing = true; /* a second finger */
      if (event.pointerType === "mouse" || this.stickPointer >= 0) return;
      this.stickPointer = event.pointerId;
      this.stickFrom = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
      this.moveStick(event);
    });
    for (const name of ["pointerup", "pointercancel"] as const) {
      addEventListener(name, (event) => event.pointerId !== this.stickPointer && (this.firing = false));
    }
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.mouse = [event.offsetX, event.offsetY];
      if (event.pointerId === this.stickPointer) this.moveStick(event);
    });
    for (const name of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(name, (event) => {
        if (event.pointerId !== this.stickPointer) return;
        this.stickPointer = -1;
        this.stickBy = [0, 0];
        this.stick.hidden = true;
      });
    }
  }

  private moveStick(event: PointerEvent): void {
    const by = [event.clientX - this.stickFrom[0], event.clientY - this.stickFrom[1]];
    const length = Math.hypot(by[0], by[1]);
    const shown = Math.min(1, STICK_PIXELS / Math.max(length, 1));
    const field = this.stick.parentElement!.getBoundingClientRect();
    this.stickBy = by;
    this.stick.hidden = false;
    this.stick.style.left = `${this.stickFrom[0] - field.left}px`;
    this.stick.style.top = `${this.stickFrom[1] - field.top}px`;
    (this.stick.firstElementChild as HTMLElement).style.transform = `translate(${by[0] * shown}px, ${by[1] * shown}px)`;
  }

  /** own: where the own player is drawn, in pixels of the canvas. */
  wish(own: [number, number] | null): Wish {
    if (this.forced) return this.forced;
    let x = 0;
    let y = 0;
    for (const code of this.held) {
      const by = KEYS[code];
      if (by) {
        x += by[0];
        y += by[1];
      }
    }
    x = Math.sign(x) * 127;
    y = Math.sign(y) * 127;
    let run = this.held.has("ShiftLeft") || this.held.has("ShiftRight");
    const length = Math.hypot(this.stickBy[0], this.stickBy[1]);
    if (this.stickPointer >= 0 && length > 6) {
      const part = Math.min(1, length / STICK_PIXELS) / length;
      x = Math.round(this.stickBy[0] * part * 127);
      y = Math.round(this.stickBy[1] * part * 127);
      run = length > STICK_PIXELS * 1.6;
      this.aim = Math.atan2(y, x);
    } else if (this.mouse && own) {
      this.aim = Math.atan2(this.mouse[1] - own[1], this.mouse[0] - own[0]);
    } else if (x || y) {
      this.aim = Math.atan2(y, x);
    }
    return { x, y, aim: this.aim, run, fire: this.firing || this.held.has("Space"), ride: this.held.has("KeyE") };
  }

  /** The server's word about every entity is to be drawn, too. */
  get ghosts(): boolean {
    return this.held.has("KeyG");
  }
}

/**
 * As arena_input in arena_schema.h. viewTick: what the player sees, so that the server can look there for what a shot hits;
 * without compensation it takes what it has now.
 */
export function inputBytes(wish: Wish, tick: number, viewTick: number | null, compensate: boolean): Uint8Array {
  const turn = Math.round((wish.aim / (2 * Math.PI)) * 256);
  const buttons = (wish.run ? 1 : 0) | (wish.fire ? 2 : 0) | (wish.ride ? 4 : 0) | (compensate ? 0 : 8);
  const seen = viewTick ?? tick;
  const age = Math.max(0, Math.min(255, tick - Math.floor(seen)));
  const share = Math.floor((seen - Math.floor(seen)) * 256);
  return new Uint8Array([wish.x & 0xff, wish.y & 0xff, turn & 0xff, buttons, age, share]);
}
