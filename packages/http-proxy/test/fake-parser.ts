import { type Headers, type ParsedRequest, type Parser, RequestError, type ResponseReader } from "@pointsman/core";

/**
 * Reads `{"model": ..., "stream": ...}` and counts the events of a stream. Restores a model name as core asks, whole
 * pieces at a time. A path that ends in `/raw` needs no answer.
 */
export const fakeParser: Parser = {
  claims: [],
  appProtocols: [],
  parseRequest(path: string, _headers: Headers, body: Uint8Array): ParsedRequest | RequestError {
    let fields: { model?: string; stream?: boolean };
    try {
      fields = JSON.parse(Buffer.from(body).toString("utf8"));
    } catch {
      return new RequestError("BadRequest", "body is not JSON");
    }
    return {
      model: fields.model,
      stream: fields.stream === true,
      maxOutputTokens: undefined,
      cacheSalt: undefined,
      promptSegments: () => [],
      promptTokenIds: () => undefined,
      rewriteModel: (model) => [Buffer.from(JSON.stringify({ ...fields, model }))],
      skipResponse: path.endsWith("/raw"),
    };
  },
  responseReader(_request, { restoreModel }): ResponseReader {
    let events = 0;
    return {
      chunk(bytes) {
        events++;
        if (restoreModel === undefined || bytes.length === 0) return bytes;
        const text = Buffer.from(bytes).toString("latin1");
        return Buffer.from(text.replaceAll(restoreModel.from, restoreModel.to), "latin1");
      },
      usage: undefined,
      get events() {
        return events;
      },
    };
  },
};
