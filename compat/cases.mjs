// What clients must read of vendors' answers that were repaired: representative cases of tests/corpus, by the plainest reading of what
// the corpus says that a client gets. Not a test.
import { readFileSync } from "node:fs";

export const NAMES = [
  "text-after-a-finish-comes-before-it-and-the-last-reason-counts",
  "a-tool-call-after-a-first-finish",
  "stop-first-and-length-after",
  "a-tool-name-in-three-fragments-without-arguments",
  "two-whole-calls-with-index-zero-and-no-ids",
  "tool-arguments-as-an-object",
  "tool-calls-that-finish-with-stop-are-tool-calls",
  "halves-of-an-emoji-as-utf-8-are-joined",
  "message-where-a-delta-belongs",
  "usage-on-a-chunk-with-one-empty-choice-after-the-finish",
];

function file(name, what) {
  return new URL(`../tests/corpus/openai/${name}/${what}`, import.meta.url);
}

export const request = (name) => ({ ...JSON.parse(readFileSync(file(name, "request.json"), "utf8")), model: `local/case-${name}` });

export function expected(name) {
  const read = { text: "", calls: [], reason: null };
  for (const event of readFileSync(file(name, "client.sse"), "utf8").split("\n\n")) {
    if (!event.startsWith("data: {")) continue;
    const choice = JSON.parse(event.slice(6)).choices[0];
    if (!choice) continue;
    read.text += choice.delta.content ?? "";
    read.reason = choice.finish_reason ?? read.reason;
    for (const { index, id, function: called } of choice.delta.tool_calls ?? []) {
      if (id) read.calls.push({ name: called.name, text: "" });
      read.calls[index].text += called.arguments;
    }
  }
  return { text: read.text, calls: read.calls, reason: read.reason };
}
