export { endpointNotificationSource as default } from "./endpoint-notification-source.ts";
