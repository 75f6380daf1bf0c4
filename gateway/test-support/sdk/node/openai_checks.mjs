// The OpenAI SDK, as shipped, against a gateway: only the base URL and the key are set.

import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";

import { API_KEY, BASE_URL, LIMITED_KEY, SPENT_KEY, SPENT_KEY_400, positive, rejects, runAll } from "./reporting.mjs";

const client = (apiKey = API_KEY, maxRetries = 0) =>
  new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey, maxRetries });
const azure = () =>
  new AzureOpenAI({ endpoint: BASE_URL, apiVersion: "2024-12-01-preview", apiKey: API_KEY, maxRetries: 0 });

const hello = { model: "gpt-5-mini", messages: [{ role: "user", content: "Say hello." }] };
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

await runAll({
  async models() {
    const names = [];
    for await (const model of client().models.list()) names.push(model.id);
    assert.ok(names.includes("gpt-5-mini") && names.includes("claude-sonnet-4-6"), names.join());
  },

  async chat() {
    const answer = await client().chat.completions.create(hello);
    assert.ok(answer.choices[0].message.content);
    positive(answer.usage.prompt_tokens);
    positive(answer.usage.completion_tokens);
  },

  async request_id() {
    const { data, response } = await client().chat.completions.create(hello).withResponse();
    assert.ok(response.headers.get("x-request-id"));
    assert.equal(data._request_id, response.headers.get("x-request-id"));
    assert.equal(response.headers.get("x-tollgate-upstream"), "openai-east");
  },

  async stream() {
    let text = "";
    // Every chunk must have a choice to look into: usage was not asked for.
    for await (const chunk of await client().chat.completions.create({ ...hello, stream: true })) {
      text += chunk.choices[0].delta.content ?? "";
    }
    assert.ok(text);
  },

  async stream_with_usage() {
    const options = { stream: true, stream_options: { include_usage: true } };
    let last;
    for await (const chunk of await client().chat.completions.create({ ...hello, ...options })) last = chunk;
    assert.deepEqual(last.choices, []);
    positive(last.usage.completion_tokens);
  },

  async tools() {
    const messages = [{ role: "user", content: "What is the weather in Oslo? use a tool" }];
    const first = await client().chat.completions.create({ ...hello, messages, tools: [weather] });
    const { message, finish_reason } = first.choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.equal(message.tool_calls[0].function.name, "weather");
    JSON.parse(message.tool_calls[0].function.arguments);
    messages.push(message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "Rain, 4 degrees." });
    const second = await client().chat.completions.create({ ...hello, messages, tools: [weather] });
    assert.equal(second.choices[0].finish_reason, "stop");
  },

  async embeddings() {
    const answer = await client().embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.every((number) => typeof number === "number"));
    positive(answer.usage.prompt_tokens);
  },

  async responses() {
    const answer = await client().responses.create({ model: "gpt-5-mini", input: "Say hello." });
    assert.ok(answer.output_text);
    positive(answer.usage.output_tokens);
  },

  async responses_stream() {
    const seen = [];
    const stream = await client().responses.create({ model: "gpt-5-mini", input: "Say hello.", stream: true });
    for await (const event of stream) seen.push(event);
    assert.equal(seen.at(-1).type, "response.completed");
    positive(seen.at(-1).response.usage.output_tokens);
  },

  async azure() {
    const answer = await azure().chat.completions.create({ ...hello, model: "azure-gpt-5-mini" });
    assert.ok(answer.choices[0].message.content);
  },

  async wrong_key() {
    const call = () => client("no-such-key-at-all").chat.completions.create(hello);
    const problem = await rejects(OpenAI.AuthenticationError, 401, call);
    assert.equal(problem.code, "invalid_api_key");
    assert.ok(problem.requestID);
  },

  async unknown_model() {
    const call = () => client().chat.completions.create({ ...hello, model: "no-such-model" });
    assert.equal((await rejects(OpenAI.NotFoundError, 404, call)).code, "model_not_found");
  },

  async rate_limit() {
    const call = () => client(LIMITED_KEY).chat.completions.create(hello);
    await call();
    assert.equal((await rejects(OpenAI.RateLimitError, 429, call)).code, "rate_limit_exceeded");
  },

  async budget_spent() {
    // With the default retries: the refusal itself must keep the SDK from asking again.
    const call = () => client(SPENT_KEY, 2).chat.completions.create(hello);
    const problem = await rejects(OpenAI.RateLimitError, 429, call);
    assert.equal(problem.code, "budget_exceeded");
    return problem.message;
  },

  async budget_spent_as_400() {
    const call = () => client(SPENT_KEY_400, 2).chat.completions.create(hello);
    return (await rejects(OpenAI.BadRequestError, 400, call)).message;
  },

  async out_of_service() {
    await rejects(OpenAI.InternalServerError, 503, () =>
      client().chat.completions.create({ ...hello, model: "gpt-out" }),
    );
  },

  async stream_dies() {
    let seen = 0;
    const read = async () => {
      const stream = await client().chat.completions.create({ ...hello, model: "gpt-dies", stream: true });
      for await (const chunk of stream) seen += (chunk.choices[0].delta.content ?? "").length;
    };
    await assert.rejects(read, OpenAI.APIError);
    positive(seen);
  },

  async client_leaves() {
    const stream = await client().chat.completions.create({ ...hello, model: "gpt-long", stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) break;
    }
  },
});
