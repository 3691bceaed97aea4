import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from "@openai/agents";
import { z } from "zod";
import { BAD_KEY, CITY, HELLO, KEY, MODEL, URL, WEATHER, run, weather } from "./told.mjs";

// settings:
setTracingDisabled(true); // else it sends traces to OpenAI
const connect = (apiKey = KEY, useResponses = true) =>
  new Runner({ modelProvider: new OpenAIProvider({ baseURL: `${URL}/v1`, apiKey, useResponses }) });
// :settings

const get_weather = tool({ name: "get_weather", description: "Get the weather.", parameters: z.object({ city: z.string() }), execute: async (input) => weather(input) });

async function plain() {
  return (await connect().run(new Agent({ name: "a", model: MODEL }), HELLO)).finalOutput;
}
async function stream() {
  const answer = await connect().run(new Agent({ name: "a", model: MODEL }), HELLO, { stream: true });
  await answer.completed;
  return answer.finalOutput;
}
async function tools() {
  const answers = [];
  for (const useResponses of [true, false]) {
    const answer = await connect(KEY, useResponses).run(new Agent({ name: "a", model: MODEL, tools: [get_weather] }), WEATHER);
    if (answer.rawResponses.length !== 2) throw new Error(JSON.stringify(answer.rawResponses));
    answers.push(answer.finalOutput);
  }
  return answers;
}
async function schema() {
  const outputType = z.object({ name: z.string(), people: z.number().int() });
  return (await connect().run(new Agent({ name: "a", model: MODEL, outputType }), CITY)).finalOutput;
}
async function badKey() {
  await connect(BAD_KEY).run(new Agent({ name: "a", model: MODEL }), HELLO);
}

await run(plain, stream, tools, schema, badKey);
