import { errorCode, maxWindowBytes, settingId } from "./http2-protocol.ts";

/** The peer's settings that matter to a server; undefined when the frame does not name them. */
export interface PeerSettings {
  initialWindowBytes: number | undefined;
  maxFrameBytes: number | undefined;
}

/** Reads the payload of a SETTINGS frame, whose length is a multiple of 6. A number is the error code of an invalid value. */
export function readSettings(bytes: Buffer, start: number, end: number): PeerSettings | number {
  const settings: PeerSettings = { initialWindowBytes: undefined, maxFrameBytes: undefined };
  for (let at = start; at < end; at += 6) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case settingId.enablePush:
        if (value > 1) return errorCode.protocolError;
        break;
      case settingId.initialWindowSize:
        if (value > maxWindowBytes) return errorCode.flowControlError;
        settings.initialWindowBytes = value;
        break;
      case settingId.maxFrameSize:
        if (value < 16_384 || value > 16_777_215) return errorCode.protocolError;
        settings.maxFrameBytes = value;
        break;
      default:
    }
  }
  return settings;
}
