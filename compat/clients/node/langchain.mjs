import { ChatAnthropic } from "@langchain/anthropic";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { BAD_KEY, CITY, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => [
  new ChatOpenAI({ model: MODEL, apiKey, configuration: { baseURL: `${URL}/v1` } }),
  new ChatOpenAI({ model: MODEL, apiKey, useResponsesApi: true, configuration: { baseURL: `${URL}/v1` } }),
  new ChatAnthropic({ model: MODEL, apiKey, anthropicApiUrl: URL }),
];
// :settings

const inTurn = async (ask) => {
  const answers = [];
  for (const model of connect()) answers.push(await ask(model));
  if (!answers.every(Boolean)) throw new Error(JSON.stringify(answers));
  return answers;
};
const get_weather = tool(async (input) => weather(input), { name: "get_weather", description: "Get the weather.", schema: z.object({ city: z.string() }) });

async function plain() {
  return inTurn(async (model) => (await model.invoke(HELLO)).text);
}
async function stream() {
  return inTurn(async (model) => gathered(await model.stream(HELLO), (part) => part.text));
}
async function tools() {
  return inTurn(async (model) => {
    const bound = model.bindTools([get_weather]);
    const said = await bound.invoke(WEATHER);
    const result = await get_weather.invoke(said.tool_calls[0]);
    return (await bound.invoke([{ role: "user", content: WEATHER }, said, result])).text;
  });
}
async function schema() {
  return inTurn((model) => model.withStructuredOutput(z.object({ name: z.string(), people: z.number().int() })).invoke(CITY));
}
async function badKey() {
  await connect(BAD_KEY)[0].invoke(HELLO);
}

await run(plain, stream, tools, schema, badKey);
