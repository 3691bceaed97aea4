import { GoogleGenAI } from "@google/genai";
import { ARGUMENTS, BAD_KEY, CITY, CITY_SCHEMA, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: URL } });
// :settings

const { models: api } = connect();

async function plain() {
  return (await api.generateContent({ model: MODEL, contents: HELLO })).text;
}
async function stream() {
  return gathered(await api.generateContentStream({ model: MODEL, contents: HELLO }), (part) => part.text);
}
async function tools() {
  const config = { tools: [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: ARGUMENTS }] }] };
  const contents = [{ role: "user", parts: [{ text: WEATHER }] }];
  const first = await api.generateContent({ model: MODEL, contents, config });
  const [call] = first.functionCalls;
  const functionResponse = { id: call.id, name: call.name, response: { output: weather(call.args) } };
  contents.push(first.candidates[0].content, { role: "user", parts: [{ functionResponse }] });
  return (await api.generateContent({ model: MODEL, contents, config })).text;
}
async function schema() {
  const config = { responseMimeType: "application/json", responseJsonSchema: CITY_SCHEMA };
  return JSON.parse((await api.generateContent({ model: MODEL, contents: CITY, config })).text);
}
async function count() {
  return (await api.countTokens({ model: MODEL, contents: HELLO })).totalTokens;
}
async function embeddings() {
  return (await api.embedContent({ model: MODEL, contents: [HELLO, CITY] })).embeddings[1].values.length;
}
async function badKey() {
  await connect(BAD_KEY).models.generateContent({ model: MODEL, contents: HELLO });
}
async function models() {
  const names = [];
  for await (const model of await api.list()) names.push(model.name);
  return names;
}

await run(plain, stream, tools, schema, count, embeddings, badKey, models);
