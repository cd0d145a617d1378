/** Schemas: described in JavaScript or compiled in, and the typed views of entities that they give. */

import type { Core } from "./core";

export const FieldKind = {
  bool: 0, integer: 1, enum: 2, float: 3, vec2: 4, vec3: 5, quat: 6, angle: 7, entity: 8, string: 9, bytes: 10,
} as const;

const SIGNED = 1;
const ARRAY = 128;
const BOUNDED = 256;
const FLAGS = { ownerOnly: 2, notOwner: 4, interpolate: 8, required: 16, slow: 32, position: 64, bounded: 256, serverWrites: 512 } as const;

/** One field, as the server's schema has it: same id, kind, range and step. */
export interface FieldDescription {
  name: string;
  id: number;
  kind: keyof typeof FieldKind;
  min?: number;
  max?: number;
  step?: number;
  /** string and bytes: size in the struct, a string's with its closing NUL. Others: an array of so many. */
  count?: number;
  /** Arrays and bytes: at most count of them. */
  bounded?: boolean;
  /** float, vec2, vec3: float64 instead of float32. */
  double?: boolean;
  ownerOnly?: boolean;
  serverWrites?: boolean;
  notOwner?: boolean;
  interpolate?: boolean;
  required?: boolean;
  slow?: boolean;
  position?: boolean;
}

export interface TypeDescription {
  name: string;
  id: number;
  fields: FieldDescription[];
}

export type SchemaDescription = TypeDescription[];

/** A field as it lies in memory. */
export interface FieldLayout {
  name: string;
  id: number;
  kind: number;
  storageBytes: number;
  offset: number;
  count: number;
  flags: number;
  lengthOffset: number;
  lengthBytes: number;
}

export interface TypeLayout {
  name: string;
  id: number;
  bytes: number;
  fields: FieldLayout[];
}

function integerBytes(min: number, max: number): number {
  if (min < 0) return min >= -128 && max <= 127 ? 1 : min >= -32768 && max <= 32767 ? 2 : min >= -(2 ** 31) && max < 2 ** 31 ? 4 : 8;
  return max < 256 ? 1 : max < 65536 ? 2 : max < 2 ** 32 ? 4 : 8;
}

function storageBytes(field: FieldDescription): number {
  switch (field.kind) {
    case "integer": return integerBytes(field.min ?? 0, field.max ?? 0);
    case "enum": return integerBytes(0, field.max ?? 0);
    case "float": case "vec2": case "vec3": return field.double ? 8 : 4;
    case "quat": case "angle": case "entity": return 4;
    default: return 1;
  }
}

function fieldFlags(field: FieldDescription): number {
  let flags = field.kind === "integer" && (field.min ?? 0) < 0 ? SIGNED : 0;
  for (const name of Object.keys(FLAGS) as (keyof typeof FLAGS)[]) if (field[name]) flags |= FLAGS[name];
  if (field.count !== undefined && field.kind !== "string" && field.kind !== "bytes") flags |= ARRAY;
  return flags;
}

function addField(core: Core, schema: number, field: FieldDescription): void {
  const defaults: Partial<Record<FieldDescription["kind"], [number, number, number]>> = {
    bool: [0, 1, 1], quat: [-1, 1, 0.001], angle: [0, 0, 0.001],
  };
  const [min, max, step] = defaults[field.kind] ?? [0, 0, 1];
  core.lendText(field.name, (name) => core.check(core.module._wasm_schema_add_field(schema, name, field.id,
    FieldKind[field.kind], storageBytes(field), field.count ?? 1, fieldFlags(field), field.min ?? min, field.max ?? max,
    field.step ?? step)));
}

/** A schema for one or more clients of a core: from a description, or that of the compiled-in game. */
export class Schema {
  readonly core: Core;
  readonly handle: number;
  readonly types: TypeLayout[];

  constructor(core: Core, description: SchemaDescription | "game") {
    this.core = core;
    if (description === "game") {
      this.handle = core.module._wasm_schema_of_game();
      if (this.handle === 0) throw new Error("this build of the client holds no game; describe the schema");
    } else {
      this.handle = core.module._wasm_schema_begin();
      try {
        for (const type of description) {
          core.lendText(type.name, (name) => core.check(core.module._wasm_schema_add_type(this.handle, name, type.id)));
          for (const field of type.fields) addField(core, this.handle, field);
        }
        core.check(core.module._wasm_schema_finish(this.handle));
      } catch (error) {
        core.module._wasm_schema_destroy(this.handle);
        throw error;
      }
    }
    this.types = JSON.parse(core.text(core.module._wasm_schema_describe(this.handle))) as TypeLayout[];
  }

  destroy(): void {
    this.core.module._wasm_schema_destroy(this.handle);
  }
}

/** One entity in view: its fields are properties by their names, read from the client's memory. Vectors are arrays. */
export interface Entity {
  readonly id: number;
  readonly type: string;
  /** Whether it is this client's own. */
  readonly own: boolean;
  [field: string]: any;
}

/** A struct in the client's memory, with a property for each field; what an Entity is, too. */
export class StructView {
  protected readonly core: Core;
  /** Address of the struct; moved by the client each frame. */
  at = 0;
  constructor(core: Core) {
    this.core = core;
  }
}

function readNumber(data: DataView, field: FieldLayout, at: number): number {
  const float = field.kind >= FieldKind.float && field.kind <= FieldKind.angle;
  if (float) return field.storageBytes === 8 ? data.getFloat64(at, true) : data.getFloat32(at, true);
  const signed = (field.flags & SIGNED) !== 0;
  switch (field.storageBytes) {
    case 1: return signed ? data.getInt8(at) : data.getUint8(at);
    case 2: return signed ? data.getInt16(at, true) : data.getUint16(at, true);
    case 4: return signed ? data.getInt32(at, true) : data.getUint32(at, true);
    default: return Number(signed ? data.getBigInt64(at, true) : data.getBigUint64(at, true));
  }
}

function writeNumber(data: DataView, field: FieldLayout, at: number, value: number): void {
  const float = field.kind >= FieldKind.float && field.kind <= FieldKind.angle;
  if (float) return field.storageBytes === 8 ? data.setFloat64(at, value, true) : data.setFloat32(at, value, true);
  switch (field.storageBytes) {
    case 1: return data.setUint8(at, value & 0xff);
    case 2: return data.setUint16(at, value & 0xffff, true);
    case 4: return data.setUint32(at, value >>> 0, true);
    default: return data.setBigInt64(at, BigInt(value), true);
  }
}

function numbersOf(kind: number): number {
  return kind === FieldKind.vec2 ? 2 : kind === FieldKind.vec3 ? 3 : kind === FieldKind.quat ? 4 : 1;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** How many items of an array or of bytes count. */
function lengthOf(core: Core, field: FieldLayout, at: number): number {
  if (!(field.flags & BOUNDED)) return field.count;
  const place = at + field.lengthOffset;
  const length = field.lengthBytes === 1 ? core.data.getUint8(place)
    : field.lengthBytes === 2 ? core.data.getUint16(place, true) : core.data.getUint32(place, true);
  return Math.min(length, field.count);
}

function setLength(core: Core, field: FieldLayout, at: number, length: number): void {
  if (!(field.flags & BOUNDED)) return;
  const place = at + field.lengthOffset;
  if (field.lengthBytes === 1) core.data.setUint8(place, length);
  else if (field.lengthBytes === 2) core.data.setUint16(place, length, true);
  else core.data.setUint32(place, length, true);
}

function readField(core: Core, field: FieldLayout, at: number): unknown {
  const place = at + field.offset;
  if (!(field.flags & ARRAY)) return readValue(core, field, place, at);
  const stride = field.storageBytes * numbersOf(field.kind);
  return Array.from({ length: lengthOf(core, field, at) }, (_, i) => readValue(core, field, place + i * stride, at));
}

/** A field that is no array, or one value of one. */
function readValue(core: Core, field: FieldLayout, place: number, at: number): unknown {
  if (field.kind === FieldKind.string) {
    const bytes = core.module.HEAPU8.subarray(place, place + field.count);
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
  if (field.kind === FieldKind.bytes) return core.bytes(place, lengthOf(core, field, at));
  const data = core.data;
  if (field.kind === FieldKind.bool) return data.getUint8(place) !== 0;
  const numbers = numbersOf(field.kind);
  if (numbers === 1) return readNumber(data, field, place);
  return Array.from({ length: numbers }, (_, i) => readNumber(data, field, place + i * field.storageBytes));
}

function writeField(core: Core, field: FieldLayout, at: number, value: any): void {
  const place = at + field.offset;
  if (!(field.flags & ARRAY)) return writeValue(core, field, place, at, value);
  const stride = field.storageBytes * numbersOf(field.kind);
  const length = Math.min(value.length, field.count);
  for (let i = 0; i < length; i++) writeValue(core, field, place + i * stride, at, value[i]);
  setLength(core, field, at, length);
}

/** A field that is no array, or one value of one. */
function writeValue(core: Core, field: FieldLayout, place: number, at: number, value: any): void {
  if (field.kind === FieldKind.string || field.kind === FieldKind.bytes) {
    const from: Uint8Array = field.kind === FieldKind.string ? encoder.encode(value) : value;
    const room = field.kind === FieldKind.string ? field.count - 1 : field.count;
    const to = core.module.HEAPU8.subarray(place, place + field.count);
    to.fill(0).set(from.subarray(0, room));
    return setLength(core, field, at, Math.min(from.length, room));
  }
  const data = core.data;
  if (field.kind === FieldKind.bool) return data.setUint8(place, value ? 1 : 0);
  const numbers = numbersOf(field.kind);
  if (numbers === 1) return writeNumber(data, field, place, value);
  for (let i = 0; i < numbers; i++) writeNumber(data, field, place + i * field.storageBytes, value[i]);
}

/** A class of struct views for one type. writable: for prediction steps, which change the struct. */
export function structClass(type: TypeLayout, writable: boolean): new (core: Core) => StructView {
  class Struct extends StructView {}
  for (const field of type.fields) {
    Object.defineProperty(Struct.prototype, field.name, {
      enumerable: true,
      get(this: StructView) {
        return readField(this.core, field, this.at);
      },
      set: writable ? function (this: StructView, value: unknown) {
        writeField(this.core, field, this.at, value);
      } : undefined,
    });
  }
  return Struct;
}
