/** The settings of the inventory service. */
import { BASE_SETTINGS, POSTGRES_SETTINGS } from "@ordermesh/runtime/base-settings";

export const SETTINGS = { ...BASE_SETTINGS, ...POSTGRES_SETTINGS };
