import { expect, test } from "vitest";
import { httpStatusOf, RequestError, type RequestErrorCode } from "./request-error.ts";

test.each(Object.entries(httpStatusOf))("%s is status %d", (code, status) => {
  const error = new RequestError(code as RequestErrorCode, "why");
  expect(error.httpStatus).toBe(status);
  expect(error.body).toBe(`inference error: ${code} - why`);
});

test("an error of another copy of the package is recognised, other values are not", async () => {
  const copy = (await import(`./request-error.ts?copy`)) as { RequestError: typeof RequestError };
  expect(copy.RequestError).not.toBe(RequestError);
  expect(new copy.RequestError("NotFound", "x") instanceof RequestError).toBe(true);
  for (const other of [undefined, null, "x", {}, new Error("x")]) expect((other as unknown) instanceof RequestError).toBe(false);
});
