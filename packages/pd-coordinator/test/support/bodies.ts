/** Bodies and answers that most tests use. */

export const chat: Readonly<Record<string, unknown>> = {
  model: "m",
  messages: [{ role: "user", content: "hello" }],
  max_tokens: 50,
};

/** What vLLM's rendering endpoint says of a chat of text. */
export const rendered = { body: { token_ids: [7, 8, 9] } };

const png = (n: number): string => `data:image/png;base64,AAA${n}`;

export function imageChat(urls: readonly string[] = [png(1), png(2)]): Record<string, unknown> {
  const images = urls.map((url) => ({ type: "image_url", image_url: { url } }));
  return { ...chat, messages: [{ role: "user", content: [{ type: "text", text: "what is it?" }, ...images] }] };
}

/** Of a chat with two images. */
export const renderedImages = {
  body: {
    token_ids: [1, 5, 5, 6, 5, 5, 5, 2],
    features: {
      mm_hashes: { image: ["h1", "h2"] },
      mm_placeholders: {
        image: [
          { offset: 1, length: 2 },
          { offset: 4, length: 3 },
        ],
      },
      kwargs_data: { image: ["blob1", "blob2"] },
    },
  },
};

/** What a prefill server of vLLM's NixlConnector answers; one number is beyond what a float64 holds. */
export const prefilledText =
  '{"id":"p","choices":[],"kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,' +
  '"remote_block_ids":[[1,2],[12345678901234567890]],"remote_engine_id":"e","remote_host":"h","remote_port":5}}';

export const prefilled = { headers: { "content-type": "application/json" }, body: prefilledText };

export const completion = {
  body: {
    id: "d",
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
  },
};

export const sixKeys = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};
