// The Vercel AI SDK with its OpenAI provider, as shipped: only the base URL and the key are set. `API` says
// which of OpenAI's two APIs is asked; the provider's own choice is `responses`.

import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, RetryError, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

import { API_KEY, BASE_URL, SPENT_KEY, SPENT_KEY_400, TEXT, positive, rejects, runAll } from "./reporting.mjs";

const prompt = "Say hello.";

function model(apiKey = API_KEY, name = "gpt-5-mini") {
  const openai = createOpenAI({ baseURL: `${BASE_URL}/v1`, apiKey });
  return process.env.API === "chat" ? openai.chat(name) : openai(name);
}

const ask = (apiKey) => generateText({ model: model(apiKey), prompt });

await runAll({
  async chat() {
    const answer = await generateText({ model: model(), prompt });
    assert.equal(answer.text, TEXT);
    positive(answer.usage.outputTokens);
  },

  async stream() {
    const answer = streamText({ model: model(), prompt });
    let text = "";
    for await (const piece of answer.textStream) text += piece;
    assert.equal(text, TEXT);
    positive((await answer.usage).outputTokens);
  },

  async tools() {
    const asked = [];
    const weather = tool({
      description: "The weather in a city.",
      inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
      execute: async ({ city }) => {
        asked.push(city);
        return "Rain, 4 degrees.";
      },
    });
    const question = "What is the weather in Oslo? use a tool";
    const answer = await generateText({ model: model(), prompt: question, tools: { weather }, stopWhen: stepCountIs(3) });
    assert.deepEqual(asked, ["Paris"]);
    assert.equal(answer.text, TEXT);
  },

  async budget_spent() {
    // This SDK does not read `x-should-retry`: it has tried again before it gives up.
    const problem = await ask(SPENT_KEY).then(
      () => assert.fail("nothing was thrown"),
      (thrown) => thrown,
    );
    assert.ok(RetryError.isInstance(problem), `${problem.constructor.name}: ${problem.message}`);
    assert.ok(APICallError.isInstance(problem.lastError));
    assert.equal(problem.lastError.statusCode, 429);
    return problem.message;
  },

  async budget_spent_as_400() {
    return (await rejects(APICallError, 400, () => ask(SPENT_KEY_400), "statusCode")).message;
  },

  async wrong_key() {
    await rejects(APICallError, 401, () => ask("no-such-key-at-all"), "statusCode");
  },

  async stream_dies() {
    const errors = [];
    const onError = ({ error }) => errors.push(error);
    const answer = streamText({ model: model(API_KEY, "gpt-dies"), prompt, onError });
    let seen = 0;
    for await (const piece of answer.textStream) seen += piece.length;
    positive(seen);
    // `textStream` only ends; the error is told to `onError` and in how the stream has finished.
    assert.equal(errors.length, 1);
    assert.equal(await answer.finishReason, "error");
    return errors[0].message;
  },
});
