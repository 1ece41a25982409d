export { decisionLogRecorder as default } from "./decision-log-recorder.ts";
