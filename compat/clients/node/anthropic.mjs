import Anthropic from "@anthropic-ai/sdk";
import { ARGUMENTS, BAD_KEY, CITY, CITY_SCHEMA, HELLO, KEY, MODEL, URL, WEATHER, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => new Anthropic({ baseURL: URL, apiKey });
// :settings

const client = connect();
const asked = (content) => ({ model: MODEL, max_tokens: 1000, messages: [{ role: "user", content }] });
const tool = { name: "get_weather", input_schema: ARGUMENTS, run: async (input) => weather(input), parse: (input) => input };

async function plain() {
  return (await client.messages.create(asked(HELLO))).content[0].text;
}
async function stream() {
  return client.messages.stream(asked(HELLO)).finalText();
}
async function tools() {
  const last = await client.beta.messages.toolRunner({ ...asked(WEATHER), tools: [tool], stream: false }).runUntilDone();
  return last.content[0].text;
}
async function schema() {
  const answer = await client.messages.create({ ...asked(CITY), output_config: { format: { type: "json_schema", schema: CITY_SCHEMA } } });
  return JSON.parse(answer.content[0].text);
}
async function count() {
  return (await client.messages.countTokens({ model: MODEL, messages: asked(HELLO).messages })).input_tokens;
}
async function badKey() {
  await connect(BAD_KEY).messages.create(asked(HELLO));
}
async function models() {
  return (await client.models.list()).data.map((model) => model.id);
}

await run(plain, stream, tools, schema, count, badKey, models);
