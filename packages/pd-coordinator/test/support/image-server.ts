import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** Serves images until the test ends. Returns the URL of a path. */
export async function images(listener: RequestListener): Promise<(path: string) => string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (path) => `http://images.test:${(server.address() as AddressInfo).port}${path}`;
}
