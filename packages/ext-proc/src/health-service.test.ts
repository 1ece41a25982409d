import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { createGrpcJsServer, createHttp2Server } from "@pointsman/grpc-transport";
import { HealthCheckRequestSchema, HealthCheckResponseSchema, HealthListResponseSchema } from "@pointsman/proto/health";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { healthMethods, healthStatus } from "./health-service.ts";

describe.each([
  ["http2", createHttp2Server],
  ["grpc-js", createGrpcJsServer],
])("on the transport %s", (_transport, createServer) => {
  const server = createServer({
    host: "127.0.0.1",
    port: 0,
    maxReceiveBytes: 1024,
    methods: healthMethods({
      check: (service) => (service === "" ? healthStatus.serving : healthStatus.serviceUnknown),
      listed: ["", "other"],
    }),
  });
  let client: Client;
  beforeAll(async () => {
    const { port } = await server.start();
    client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  });
  afterAll(() => {
    client.close();
    server.stop();
  });

  function call(method: string, bytes: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/grpc.health.v1.Health/${method}`,
        (value: Buffer) => value,
        (value: Buffer) => value,
        Buffer.from(bytes),
        new Metadata(),
        (error: ServiceError | null, value?: Buffer) => (error === null ? resolve(value!) : reject(error)),
      );
    });
  }
  function callWithoutMessage(method: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const request = client.makeClientStreamRequest(
        `/grpc.health.v1.Health/${method}`,
        (value: Buffer) => value,
        (value: Buffer) => value,
        new Metadata(),
        (error: ServiceError | null, value?: Buffer) => (error === null ? resolve(value!) : reject(error)),
      );
      request.end();
    });
  }
  const check = async (service: string): Promise<number> =>
    fromBinary(
      HealthCheckResponseSchema,
      await call("Check", toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))),
    ).status;

  test("Check answers per service", async () => {
    expect(await check("")).toBe(1);
    expect(await check("whatever")).toBe(3);
  });

  test("List names the services with their status", async () => {
    const { statuses } = fromBinary(HealthListResponseSchema, await call("List", new Uint8Array(0)));
    expect(Object.fromEntries(Object.entries(statuses).map(([name, value]) => [name, value.status]))).toEqual({
      "": 1,
      other: 3,
    });
  });

  test("Watch is unimplemented, malformed and missing requests are invalid arguments, unknown methods unimplemented", async () => {
    await expect(call("Watch", new Uint8Array(0))).rejects.toMatchObject({ code: 12 });
    await expect(call("Check", Uint8Array.of(0x0a, 0xff))).rejects.toMatchObject({ code: 3 });
    await expect(callWithoutMessage("Check")).rejects.toMatchObject({ code: 3 });
    await expect(call("Nothing", new Uint8Array(0))).rejects.toMatchObject({ code: 12 });
  });
});
