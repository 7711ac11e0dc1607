/** An echo server as a process of its own, to be killed: prints its address and serves until then. */
import { serveEcho } from "./echo.ts";

const { address } = await serveEcho();
process.stdout.write(`${address}\n`);
