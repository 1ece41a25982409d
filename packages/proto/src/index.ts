export {
  type BodyModes,
  bodySendModes,
  decodeProcessingRequest,
  type ExtProcKind,
  type ExtProcMessage,
  type HeaderCollector,
  KnownMetadata,
} from "./ext-proc-decode.ts";
export {
  encodeBodyResponsePrefix,
  encodeHeadersResponse,
  encodeImmediateResponse,
  encodeKeptBodyResponse,
  encodeReplacedBodyResponsePrefix,
  encodeTrailersResponse,
  type HeaderPairs,
} from "./ext-proc-encode.ts";
export { encodeStruct, type StructObject, type StructValue } from "./struct-codec.ts";
