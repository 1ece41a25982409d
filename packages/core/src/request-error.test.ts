import { expect, test } from "vitest";
import { httpStatusOf, RequestError, type RequestErrorCode } from "./request-error.ts";

// Keys of the table are its codes.
const codes = Object.keys(httpStatusOf) as RequestErrorCode[];

test.each(codes)("%s gives the status of the table and the reply's text", (code) => {
  const error = new RequestError(code, "why");
  expect(error.httpStatus).toBe(httpStatusOf[code]);
  expect(error.body).toBe(`inference error: ${code} - why`);
  expect(error.reason).toBeUndefined();
});

test("codes have the statuses that the wire contract names", () => {
  expect(httpStatusOf).toEqual({
    BadRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    PreconditionFailed: 412,
    PayloadTooLarge: 413,
    ResourceExhausted: 429,
    Internal: 500,
    ServiceUnavailable: 503,
  });
});

test("an error of another copy of the package is recognised, other values are not", async () => {
  const otherCopy: string = "./request-error.ts?copy";
  const copy: { readonly RequestError: typeof RequestError } = await import(otherCopy);
  expect(copy.RequestError).not.toBe(RequestError);
  expect(new copy.RequestError("NotFound", "x") instanceof RequestError).toBe(true);
  const others: readonly unknown[] = [undefined, null, "x", {}, new Error("x")];
  for (const other of others) expect(other instanceof RequestError).toBe(false);
});
