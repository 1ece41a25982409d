export { type GrpcMessage, readGrpcMessage } from "./grpc-frame.ts";
export { defaultMaxMessageBytes, GrpcFrameReader } from "./grpc-frame-reader.ts";
export { defaultMaxFields, ProtoFields, wireType } from "./proto-fields.ts";
export { countVarints, readUint32s } from "./repeated-uint32.ts";
