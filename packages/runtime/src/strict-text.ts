/** Protobuf's strings are UTF-8, and what is not is no valid message; the library would put replacement characters in its place. */
import { configureTextEncoding, getTextEncoding } from "@bufbuild/protobuf/wire";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** For all that this process decodes from then on. */
export function refuseBrokenText(): void {
  configureTextEncoding({ ...getTextEncoding(), decodeUtf8: (bytes) => strict.decode(bytes) });
}
