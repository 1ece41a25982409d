/** HTTP/1.1 framing for other proxies: responses off a connection, chunks in place, which fields stay on a connection. */
export { allocateBlock, blockHeadBytes, blockTailBytes, frameBlock } from "./body-block.ts";
export { isConnectionField, isFieldValue, listedByConnection, trailerLines } from "./header-fields.ts";
export { type ResponseConsumer, ResponseDecoder, type ResponseHead } from "./response-decoder.ts";
