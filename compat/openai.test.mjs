// OpenAI's JavaScript client against a running server. AISA_BASE_URL and AISA_API_KEY say where; see run.py.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { NAMES, expected, request } from "./cases.mjs";

const client = new OpenAI({ baseURL: process.env.AISA_BASE_URL, apiKey: process.env.AISA_API_KEY, maxRetries: 0 });
const model = "gpt-4.1";
const messages = [{ role: "user", content: "Hello! Who are you?" }];
const asksWeather = [{ role: "user", content: "Please call get_weather for Paris." }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" }, unit: { enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};
const weather = { name: "get_weather", description: "The weather in a city.", parameters };
const tools = [{ type: "function", function: weather }];
const Forecast = z.object({ city: z.string(), sky: z.enum(["clear", "cloudy"]), degrees: z.number().int() });

const isWeather = (text) => {
  const { city, unit } = JSON.parse(text);
  assert.equal(typeof city, "string");
  assert.ok(parameters.properties.unit.enum.includes(unit));
};

test("a plain answer is a message with its usage and a request id", async () => {
  const { data, response, request_id } = await client.chat.completions.create({ model, messages }).withResponse();
  assert.ok(data.choices[0].message.content);
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.match(request_id, /^req_/);
  assert.equal(response.headers.get("x-request-id"), request_id);
  assert.equal(data._request_id, request_id);
});

test("a stream arrives word by word, usage last", async () => {
  const options = { model: "local/hello", messages, stream: true, stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(options)) chunks.push(chunk);
  const words = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
  assert.deepEqual(words, ["Hello", " from", " the", " vendor", "."]);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.total_tokens, 16);
});

test("the stream helper puts text together", async () => {
  const stream = client.chat.completions.stream({ model, messages });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content, text);
  assert.ok(text);
});

test("several choices are told apart", async () => {
  const final = await client.chat.completions.stream({ model, messages, n: 2, seed: 3 }).finalChatCompletion();
  const plain = await client.chat.completions.create({ model, messages, n: 2, seed: 3 });
  const texts = (answer) => answer.choices.map((choice) => choice.message.content);
  assert.deepEqual(texts(final), texts(plain));
});

test("a tool is called, streamed or not", async () => {
  const plain = await client.chat.completions.create({ model, messages: asksWeather, tools });
  const streamed = await client.chat.completions.stream({ model, messages: asksWeather, tools }).finalChatCompletion();
  for (const { choices } of [plain, streamed]) {
    assert.equal(choices[0].finish_reason, "tool_calls");
    assert.equal(choices[0].message.tool_calls.length, 1);
    assert.equal(choices[0].message.tool_calls[0].function.name, "get_weather");
    isWeather(choices[0].message.tool_calls[0].function.arguments);
  }
});

test("the helper that runs tools ends in text", async () => {
  const asked = [];
  const run = (city) => (asked.push(city), { degrees: 21 });
  const runnable = [{ type: "function", function: { ...weather, function: run, parse: JSON.parse } }];
  const text = await client.chat.completions.runTools({ model, messages: asksWeather, tools: runnable }).finalContent();
  assert.ok(text);
  assert.equal(asked.length, 1);
});

test("a legacy function is called, streamed or not", async () => {
  const options = { model, messages: asksWeather, functions: [weather], function_call: "auto" };
  const plain = await client.chat.completions.create(options);
  const streamed = await client.chat.completions.stream(options).finalChatCompletion();
  for (const { choices } of [plain, streamed]) {
    assert.equal(choices[0].finish_reason, "function_call");
    assert.equal(choices[0].message.function_call.name, "get_weather");
    isWeather(choices[0].message.function_call.arguments);
  }
});

test("a document of a schema is parsed, streamed or not", async () => {
  const options = { model, messages, response_format: zodResponseFormat(Forecast, "forecast") };
  const plain = await client.chat.completions.parse(options);
  const streamed = await client.chat.completions.stream(options).finalChatCompletion();
  for (const { choices } of [plain, streamed]) Forecast.parse(choices[0].message.parsed);
});

test("log probabilities come with every token", async () => {
  const { choices } = await client.chat.completions.create({ model, messages, logprobs: true, top_logprobs: 3 });
  assert.equal(choices[0].logprobs.content.map(({ token }) => token).join(""), choices[0].message.content);
  for (const { top_logprobs } of choices[0].logprobs.content) assert.equal(top_logprobs.length, 3);
});

const refusals = [
  ["a bad request", { model, messages: [{ content: "x" }] }, OpenAI.BadRequestError, 400, "missing_parameter"],
  ["an unknown model", { model: "nobody", messages }, OpenAI.NotFoundError, 404, "unknown_model"],
  ["too many tokens", { model: "brief", messages, max_tokens: 101 }, OpenAI.UnprocessableEntityError, 422, "max_tokens_exceeded"],
  ["a limited vendor", { model: "local/status-429", messages }, OpenAI.RateLimitError, 429, "upstream_rate_limit"],
  ["a vendor's fault", { model: "local/status-500", messages }, OpenAI.InternalServerError, 502, "upstream_unavailable"],
  ["an overloaded vendor", { model: "local/status-503", messages }, OpenAI.InternalServerError, 503, "overloaded"],
  ["a silent vendor", { model: "impatient", messages }, OpenAI.InternalServerError, 504, "upstream_timeout"],
];
for (const [what, options, Kind, status, code] of refusals) {
  for (const stream of [false, true]) {
    test(`${what} is an exception of its class${stream ? ", of a stream too" : ""}`, async () => {
      const error = await client.chat.completions.create({ ...options, stream }).then(assert.fail, (reason) => reason);
      assert.ok(error instanceof Kind, String(error));
      assert.deepEqual([error.status, error.code], [status, code]);
      assert.match(error.requestID, /^req_/);
      assert.equal(error.error.request_id, error.requestID);
    });
  }
}

test("a bad key is an authentication error", async () => {
  const stranger = client.withOptions({ apiKey: "sk-aisa-wrong" });
  const error = await stranger.models.list().then(assert.fail, (reason) => reason);
  assert.ok(error instanceof OpenAI.AuthenticationError);
  assert.equal(error.code, "invalid_api_key");
});

for (const script of ["error-mid-stream", "cut-mid-stream", "reset-mid-stream", "unfinished"]) {
  test(`a stream that breaks off raises after what was said: ${script}`, async () => {
    const said = [];
    const read = async () => {
      for await (const chunk of await client.chat.completions.create({ model: `local/${script}`, messages, stream: true }))
        if (chunk.choices[0].delta.content) said.push(chunk.choices[0].delta.content);
    };
    await assert.rejects(read, OpenAI.APIError);
    assert.deepEqual(said, ["Hello", " from"]);
    await assert.rejects(client.chat.completions.stream({ model: `local/${script}`, messages }).finalChatCompletion(), OpenAI.APIError);
  });
}

test("a retry cures an overload", async () => {
  const patient = client.withOptions({ maxRetries: 2 });
  const { choices } = await patient.chat.completions.create({ model: "local/once-503", messages });
  assert.equal(choices[0].message.content, "Hello from the vendor.");
});

test("models are listed and each can be looked up", async () => {
  const names = [];
  for await (const { id } of client.models.list()) names.push(id);
  assert.ok(names.includes(model));
  for (const name of names) assert.equal((await client.models.retrieve(name)).id, name);
});

for (const name of NAMES) {
  test(`a repaired answer is read as any other: ${name}`, async () => {
    const { stream, ...options } = request(name);
    assert.ok(stream);
    const final = await client.chat.completions.stream(options).finalChatCompletion();
    const [{ message, finish_reason: reason }] = final.choices;
    const calls = (message.tool_calls ?? []).map((call) => ({ name: call.function.name, text: call.function.arguments }));
    assert.deepEqual({ text: message.content ?? "", calls, reason }, expected(name));
  });
}

test("a padded document is read behind its newlines, and a late failure has no exception", async () => {
  const over = (body) => new OpenAI({ apiKey: "none", fetch: async () => new Response(body, { headers: { "content-type": "application/json" } }) });
  const good = await over('\n\n{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"}}]}').chat.completions.create({ model, messages });
  assert.equal(good.choices[0].message.content, "Hi");
  const late = await over('\n\n{"error":{"code":"upstream_timeout","message":"late"}}').chat.completions.create({ model, messages });
  assert.equal(late.error.code, "upstream_timeout");
  assert.equal(late.choices, undefined);
});
