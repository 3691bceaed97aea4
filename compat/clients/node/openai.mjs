import OpenAI from "openai";
import { ARGUMENTS, BAD_KEY, CITY, CITY_SCHEMA, HELLO, KEY, MODEL, URL, WEATHER, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => new OpenAI({ baseURL: `${URL}/v1`, apiKey });
// :settings

const client = connect();
const said = [{ role: "user", content: HELLO }];
const tool = { type: "function", function: { name: "get_weather", parameters: ARGUMENTS, function: weather, parse: JSON.parse } };
const form = { type: "json_schema", name: "city", schema: CITY_SCHEMA, strict: true };

async function plain() {
  return (await client.chat.completions.create({ model: MODEL, messages: said })).choices[0].message.content;
}
async function stream() {
  return client.chat.completions.stream({ model: MODEL, messages: said }).finalContent();
}
async function tools() {
  const runner = client.chat.completions.runTools({ model: MODEL, messages: [{ role: "user", content: WEATHER }], tools: [tool], stream: true });
  const text = await runner.finalContent();
  if (runner.messages.length !== 4) throw new Error(JSON.stringify(runner.messages));
  return text;
}
async function schema() {
  const response_format = { type: "json_schema", json_schema: { name: "city", schema: CITY_SCHEMA, strict: true } };
  const answer = await client.chat.completions.parse({ model: MODEL, messages: [{ role: "user", content: CITY }], response_format });
  return JSON.parse(answer.choices[0].message.content);
}
async function responses() {
  return (await client.responses.stream({ model: MODEL, input: HELLO }).finalResponse()).output_text;
}
async function responses_tools() {
  const tool = { type: "function", name: "get_weather", parameters: ARGUMENTS, strict: true };
  const first = await client.responses.create({ model: MODEL, input: WEATHER, tools: [tool] });
  const call = first.output.find((item) => item.type === "function_call");
  const result = { type: "function_call_output", call_id: call.call_id, output: weather(JSON.parse(call.arguments)) };
  const input = [{ role: "user", content: WEATHER }, ...first.output, result];
  return (await client.responses.create({ model: MODEL, input, tools: [tool] })).output_text;
}
async function responses_schema() {
  return (await client.responses.parse({ model: MODEL, input: CITY, text: { format: form } })).output_text;
}
async function embeddings() {
  return (await client.embeddings.create({ model: MODEL, input: [HELLO, CITY] })).data[1].embedding.length;
}
async function badKey() {
  await connect(BAD_KEY).chat.completions.create({ model: MODEL, messages: said });
}
async function models() {
  return (await client.models.list()).data.map((model) => model.id);
}

await run(plain, stream, tools, schema, responses, responses_tools, responses_schema, embeddings, badKey, models);
