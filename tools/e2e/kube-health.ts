import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";

const names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/** What the health service of a picker says about services. */
export async function healthOf(port: number, services: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const pass = (bytes: Buffer): Buffer => bytes;
  const check = (service: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const name = Buffer.from(service);
      // The one field of the request: the service's name.
      const request = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        pass,
        pass,
        request,
        new Metadata(),
        (error: ServiceError | null, reply?: Buffer) =>
          error === null ? resolve(names[reply?.[1] ?? 0] ?? "?") : reject(error),
      );
    });
  try {
    return Object.fromEntries(
      await Promise.all(services.map(async (service) => [service, await check(service)] as const)),
    );
  } finally {
    client.close();
  }
}

export const healthServices: readonly string[] = [
  "",
  "readiness",
  "liveness",
  "envoy.service.ext_proc.v3.ExternalProcessor",
  "inference-extension",
];
