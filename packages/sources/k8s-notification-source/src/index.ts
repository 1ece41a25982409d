export { k8sNotificationSource as default } from "./k8s-notification-source.ts";
