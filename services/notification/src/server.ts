/** NotificationService over the messages. */
import { NotificationServiceDefinition } from "@ordermesh/proto/ordermesh/notification/v1/notification";
import { type GrpcService, implement } from "@ordermesh/runtime/grpc-service";
import type { Messages } from "./messages.ts";

export function notificationService(messages: Messages): GrpcService {
  return implement(NotificationServiceDefinition, {
    listNotifications: async ({ orderId }) => ({ notifications: await messages.list(orderId) }),
  });
}
