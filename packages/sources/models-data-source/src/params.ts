import { type HttpSourceParams, httpSourceFields, intervalMsOf } from "@pointsman/metrics-data-source";
import { z } from "zod";

/** Where the model lists are, how they are reached and how often. */
export type ModelsDataSourceParams = HttpSourceParams;

const fields = httpSourceFields({
  scheme: "http",
  path: "/v1/models",
  insecureSkipVerify: true,
  interval: "1s",
});

export const modelsDataSourceParams: z.ZodType<ModelsDataSourceParams> = z
  .strictObject({
    scheme: fields.scheme,
    path: fields.path,
    insecureSkipVerify: fields.insecureSkipVerify,
    caCertPath: fields.caCertPath,
    clientCertPath: fields.clientCertPath,
    clientKeyPath: fields.clientKeyPath,
    interval: fields.interval,
  })
  .transform(intervalMsOf);
