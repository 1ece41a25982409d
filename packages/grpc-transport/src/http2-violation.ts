/** What a peer does against the protocol or beyond a limit. Names are stable: they serve as metric labels. */
export type Http2Violation =
  | "bad-preface"
  | "header-timeout"
  | "keepalive-timeout"
  | "write-stalled"
  | "no-alpn"
  | "tls-error"
  | "too-many-connections"
  | "frame-size"
  | "frame-protocol"
  | "settings-value"
  | "settings-flood"
  | "ping-flood"
  | "idle-frame-flood"
  | "continuation-flood"
  | "header-compression"
  | "stream-id"
  | "closed-stream"
  | "connection-window"
  | "reset-flood"
  | "stream-window"
  | "stream-closed"
  | "stream-protocol"
  | "malformed-request"
  | "content-length"
  | "header-list-size"
  | "too-many-streams"
  | "output-overflow"
  | "not-grpc"
  | "message-size"
  | "partial-messages"
  | "message-malformed";

/** What each violation ends. */
export const http2Violations: Readonly<Record<Http2Violation, "connection" | "stream">> = {
  "bad-preface": "connection",
  "header-timeout": "connection",
  "keepalive-timeout": "connection",
  "write-stalled": "connection",
  "no-alpn": "connection",
  "tls-error": "connection",
  "too-many-connections": "connection",
  "frame-size": "connection",
  "frame-protocol": "connection",
  "settings-value": "connection",
  "settings-flood": "connection",
  "ping-flood": "connection",
  "idle-frame-flood": "connection",
  "continuation-flood": "connection",
  "header-compression": "connection",
  "stream-id": "connection",
  "closed-stream": "connection",
  "connection-window": "connection",
  "reset-flood": "connection",
  "stream-window": "stream",
  "stream-closed": "stream",
  "stream-protocol": "stream",
  "malformed-request": "stream",
  "content-length": "stream",
  "header-list-size": "stream",
  "too-many-streams": "stream",
  "output-overflow": "stream",
  "not-grpc": "stream",
  "message-size": "stream",
  "partial-messages": "stream",
  "message-malformed": "stream",
};
