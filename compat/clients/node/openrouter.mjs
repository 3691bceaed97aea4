import { OpenRouter } from "@openrouter/sdk";
import { ARGUMENTS, BAD_KEY, CITY, CITY_SCHEMA, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
// Without the last member a request that a server cannot answer is made again for an hour.
const connect = (apiKey = KEY) => new OpenRouter({ apiKey, serverURL: `${URL}/v1`, retryConfig: { strategy: "none" } });
// :settings

const ask = (messages, more = {}, apiKey = KEY) => connect(apiKey).chat.send({ chatRequest: { model: MODEL, messages, ...more } });
const said = (content) => [{ role: "user", content }];
const get_weather = { type: "function", function: { name: "get_weather", description: "Get the weather.", parameters: ARGUMENTS } };

async function plain() {
  return (await ask(said(HELLO))).choices[0].message.content;
}
async function stream() {
  return gathered(await ask(said(HELLO), { stream: true }), (chunk) => chunk.choices[0]?.delta.content);
}
async function tools() {
  const asked = said(WEATHER);
  const { message } = (await ask(asked, { tools: [get_weather] })).choices[0];
  const [call] = message.toolCalls;
  asked.push(message, { role: "tool", toolCallId: call.id, content: weather(JSON.parse(call.function.arguments)) });
  return (await ask(asked, { tools: [get_weather] })).choices[0].message.content;
}
async function schema() {
  const responseFormat = { type: "json_schema", jsonSchema: { name: "city", schema: CITY_SCHEMA, strict: true } };
  return JSON.parse((await ask(said(CITY), { responseFormat })).choices[0].message.content);
}
async function responses() {
  return (await connect().beta.responses.send({ responsesRequest: { model: MODEL, input: HELLO } })).status;
}
async function embeddings() {
  return (await connect().embeddings.generate({ requestBody: { model: MODEL, input: HELLO } })).data[0].embedding.length;
}
async function badKey() {
  await ask(said(HELLO), {}, BAD_KEY);
}

await run(plain, stream, tools, schema, responses, embeddings, badKey);
