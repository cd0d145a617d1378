export { connect, Channel, ChannelMode, Client } from "./client";
export type {
  ChannelOptions, ClientEvents, ClientState, ConnectedEvent, ConnectOptions, LostEvent, MessageEvent, PredictionStep,
  ReceiptEvent, SendOptions, Statistics, TokenEvent, Changes, Scope, Value,
} from "./client";
export { Core, loadCore, NecpnetError } from "./core";
export type { CoreFactory, CoreModule, CoreSource } from "./core";
export { FieldKind } from "./schema";
export type { Entity, FieldDescription, SchemaDescription, TypeDescription } from "./schema";
