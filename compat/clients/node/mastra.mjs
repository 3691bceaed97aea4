import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { z } from "zod";
import { BAD_KEY, CITY, HELLO, KEY, MODEL, URL, WEATHER, gathered, run, weather } from "./told.mjs";

// settings:
const connect = (apiKey = KEY) => ({ id: `aisa/${MODEL}`, url: `${URL}/v1`, apiKey });
// :settings

const agent = (model = connect(), tools = {}) => new Agent({ id: "a", name: "a", instructions: "Answer.", model, tools });

async function plain() {
  return (await agent().generate(HELLO)).text;
}
async function stream() {
  return gathered((await agent().stream(HELLO)).textStream, (part) => part);
}
async function tools() {
  let called = 0;
  const get_weather = createTool({
    id: "get_weather",
    description: "Get the weather.",
    inputSchema: z.object({ city: z.string() }),
    execute: async (input) => (called++, weather(input.context ?? input)),
  });
  const answer = await agent(connect(), { get_weather }).generate(WEATHER, { maxSteps: 3 });
  if (!called) throw new Error(JSON.stringify(answer.steps));
  return answer.text;
}
async function schema() {
  const structuredOutput = { schema: z.object({ name: z.string(), people: z.number().int() }) };
  return (await agent().generate(CITY, { structuredOutput })).object;
}
async function badKey() {
  await agent(connect(BAD_KEY)).generate(HELLO);
}

await run(plain, stream, tools, schema, badKey);
