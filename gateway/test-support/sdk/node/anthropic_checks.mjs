// The Anthropic SDK, as shipped, against a gateway: only the base URL and the key are set.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

import { API_KEY, BASE_URL, LIMITED_KEY, SPENT_KEY, SPENT_KEY_400, positive, rejects, runAll } from "./reporting.mjs";

const client = (apiKey = API_KEY, maxRetries = 0) => new Anthropic({ baseURL: BASE_URL, apiKey, maxRetries });

const hello = {
  model: "claude-sonnet-4-6",
  max_tokens: 64,
  messages: [{ role: "user", content: "Say hello." }],
};
const weather = {
  name: "weather",
  description: "The weather in a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

await runAll({
  async chat() {
    const answer = await client().messages.create(hello);
    assert.ok(answer.content[0].text);
    positive(answer.usage.input_tokens);
    positive(answer.usage.output_tokens);
  },

  async request_id() {
    const { data, response } = await client().messages.create(hello).withResponse();
    assert.ok(response.headers.get("request-id"));
    assert.equal(data._request_id, response.headers.get("x-request-id"));
    assert.equal(response.headers.get("x-tollgate-upstream"), "anthropic-east");
  },

  async stream() {
    const final = await client().messages.stream(hello).finalMessage();
    assert.ok(final.content[0].text);
    positive(final.usage.output_tokens);
  },

  async tools() {
    const messages = [{ role: "user", content: "What is the weather in Oslo? use a tool" }];
    const first = await client().messages.create({ ...hello, messages, tools: [weather] });
    assert.equal(first.stop_reason, "tool_use");
    const call = first.content.find((block) => block.type === "tool_use");
    assert.equal(call.name, "weather");
    const result = { type: "tool_result", tool_use_id: call.id, content: "Rain, 4 degrees." };
    messages.push({ role: "assistant", content: first.content }, { role: "user", content: [result] });
    const second = await client().messages.create({ ...hello, messages, tools: [weather] });
    assert.equal(second.stop_reason, "end_turn");
  },

  async count_tokens() {
    positive((await client().messages.countTokens({ model: hello.model, messages: hello.messages })).input_tokens);
  },

  async models() {
    const names = [];
    for await (const model of client().models.list()) names.push(model.id);
    assert.ok(names.includes("claude-sonnet-4-6"), names.join());
  },

  async wrong_key() {
    await rejects(Anthropic.AuthenticationError, 401, () => client("no-such-key-at-all").messages.create(hello));
  },

  async unknown_model() {
    const call = () => client().messages.create({ ...hello, model: "no-such-model" });
    await rejects(Anthropic.NotFoundError, 404, call);
  },

  async rate_limit() {
    const call = () => client(LIMITED_KEY).messages.create(hello);
    await call();
    await rejects(Anthropic.RateLimitError, 429, call);
  },

  async budget_spent() {
    // With the default retries: the refusal itself must keep the SDK from asking again.
    const call = () => client(SPENT_KEY, 2).messages.create(hello);
    return (await rejects(Anthropic.RateLimitError, 429, call)).message;
  },

  async budget_spent_as_400() {
    const call = () => client(SPENT_KEY_400, 2).messages.create(hello);
    return (await rejects(Anthropic.BadRequestError, 400, call)).message;
  },

  async out_of_service() {
    const call = () => client().messages.create({ ...hello, model: "claude-out" });
    await rejects(Anthropic.APIError, 503, call);
  },

  async stream_dies() {
    let seen = 0;
    const read = async () => {
      const stream = await client().messages.create({ ...hello, model: "claude-dies", stream: true });
      for await (const event of stream) seen += event.delta?.text?.length ?? 0;
    };
    await assert.rejects(read, Anthropic.APIError);
    positive(seen);
  },

  async client_leaves() {
    const stream = await client().messages.create({ ...hello, model: "claude-long", stream: true });
    for await (const event of stream) {
      if (event.type === "content_block_delta") break;
    }
  },
});
