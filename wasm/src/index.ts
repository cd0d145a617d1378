export { connect, Channel, ChannelMode, Client } from "./client";
export type {
  ChannelOptions, ClientEvents, ClientState, ConnectedEvent, ConnectOptions, LostEvent, MessageEvent, PredictionStep,
  ReceiptEvent, SendOptions, Statistics, TokenEvent, Changes, Scope, Value,
} from "./client";
export { Core, loadCore, NecpnetError } from "./core";
export type { CoreFactory, CoreModule, CoreSource } from "./core";
export { CRAFTING_MESSAGE, CraftingTracks } from "./crafting";
export type { CraftingMaterial, CraftingMessage, CraftingStatus, CraftingTrack } from "./crafting";
export { FieldKind } from "./schema";
export type { Entity, FieldDescription, SchemaDescription, TypeDescription } from "./schema";
export { loudness, userOf, Voice } from "./voice";
export type { VoiceEvents, VoiceGroup, VoiceKind, VoiceOptions } from "./voice";
export { VoicePeers } from "./voice_peers";
export type { VoicePeersOptions, VoiceSignal } from "./voice_peers";
