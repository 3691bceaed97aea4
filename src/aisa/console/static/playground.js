// The playground: one conversation with a model, by the API that every client calls. The key stays in this page.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const by = (id) => document.getElementById(id);
  const origin = by("play").dataset.origin;
  const talk = by("talk");
  const history = [];
  let picture = null;
  let results = null; // what asks for the results of called tools, while it does
  let stopping = null;
  let shown = "curl";

  by("p-key").value = by("secret")?.textContent ?? "";

  function settings() {
    const body = { model: by("p-model").value };
    const system = by("p-system").value.trim();
    body.messages = [...(system ? [{ role: "system", content: system }] : []), ...history];
    for (const [field, name] of [["p-temperature", "temperature"], ["p-top", "top_p"], ["p-max", "max_tokens"], ["p-seed", "seed"]]) {
      const value = by(field).value.trim();
      if (value !== "" && !Number.isNaN(Number(value))) body[name] = Number(value);
    }
    if (by("p-effort").value) body.reasoning_effort = by("p-effort").value;
    if (by("p-stop").value) body.stop = by("p-stop").value;
    if (by("p-tools").value.trim()) body.tools = JSON.parse(by("p-tools").value);
    if (by("p-stream").checked) Object.assign(body, { stream: true, stream_options: { include_usage: true } });
    return body;
  }

  const said = (text) => ({ role: "user", content: picture ? [{ type: "text", text }, { type: "image_url", image_url: { url: picture } }] : text });
  const given = () => [...(results?.querySelectorAll("input") ?? [])].map((input) => ({ role: "tool", tool_call_id: input.name, content: input.value }));

  // As code

  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const python = (value, depth = 0) => {
    const pad = "    ".repeat(depth + 1);
    if (value === null) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (Array.isArray(value)) return value.length ? `[\n${value.map((each) => pad + python(each, depth + 1)).join(",\n")},\n${"    ".repeat(depth)}]` : "[]";
    if (typeof value === "object") return `{\n${Object.entries(value).map(([name, each]) => `${pad}${JSON.stringify(name)}: ${python(each, depth + 1)}`).join(",\n")},\n${"    ".repeat(depth)}}`;
    return JSON.stringify(value);
  };
  const codes = {
    curl: (body) => `curl -N ${origin}/v1/chat/completions \\\n  -H "Authorization: Bearer $AISA_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d ${quoted(JSON.stringify(body, null, 2))}`,
    python: (body) => {
      const given = Object.entries(body).map(([name, value]) => `    ${name}=${python(value, 1)},`).join("\n");
      const read = body.stream ? 'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)' : "print(answer.choices[0].message.content)";
      return `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url="${origin}/v1", api_key=os.environ["AISA_API_KEY"])\nanswer = client.chat.completions.create(\n${given}\n)\n${read}`;
    },
    node: (body) => {
      const read = body.stream ? 'for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");' : "console.log(answer.choices[0].message.content);";
      return `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.AISA_API_KEY });\nconst answer = await client.chat.completions.create(${JSON.stringify(body, null, 2)});\n${read}`;
    },
  };
  function code() {
    let body;
    try {
      body = settings();
      const typed = by("text").value || (results ? "" : by("text").placeholder);
      body.messages = [...body.messages, ...given(), ...(typed ? [said(typed)] : [])];
      by("p-tools").setCustomValidity("");
    } catch {
      by("p-tools").setCustomValidity("This is no JSON.");
      return;
    }
    by("code").textContent = codes[shown](body);
  }
  document.querySelectorAll("[data-code]").forEach((button) =>
    button.addEventListener("click", () => {
      shown = button.dataset.code;
      document.querySelectorAll("[data-code]").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      code();
    }),
  );
  by("play").addEventListener("input", code);

  // Bubbles and figures

  function bubble(kind, text) {
    talk.querySelector(".empty")?.remove();
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = text;
    talk.append(item);
    talk.scrollTop = talk.scrollHeight;
    return item;
  }
  const money = (dollars) => (dollars > 0 && dollars < 5e-7 ? "<$0.000001" : "$" + dollars.toFixed(dollars >= 1 ? 2 : 6)); // as `money.rounded_dollars`
  function meter({ input, output, cost, first, rate, id }) {
    if (input !== undefined) by("m-in").textContent = input.toLocaleString("en");
    if (output !== undefined) by("m-out").textContent = output.toLocaleString("en");
    if (cost !== undefined) by("m-cost").textContent = cost === null ? "no price" : money(cost);
    if (first !== undefined) by("m-first").textContent = first === null ? "–" : Math.round(first) + " ms";
    if (rate !== undefined) by("m-rate").textContent = rate ? rate.toFixed(1) : "–";
    if (id) {
      const link = document.createElement("a");
      link.href = "/console/calls/" + encodeURIComponent(id);
      link.textContent = "Receipt";
      by("m-id").replaceChildren(link);
    }
  }

  // What a call costs so far: the prices that its running receipt has, times what has come.
  async function pricesOf(id, key) {
    try {
      const answer = await fetch(`${origin}/v1/usage/calls/${encodeURIComponent(id)}`, { headers: { authorization: "Bearer " + key } });
      const receipt = await answer.json();
      return receipt.prices ? { input: receipt.prices.input, output: receipt.prices.output, tokens: receipt.generated.input_tokens } : null;
    } catch {
      return null;
    }
  }

  async function* events(body) {
    const decoder = new TextDecoder();
    const reader = body.getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) if (block.startsWith("data: ") && block !== "data: [DONE]") yield JSON.parse(block.slice(6));
    }
  }

  function toolText(calls) {
    return calls.map((call) => `${call.function.name}(${call.function.arguments})`).join("\n");
  }

  // A call of a tool wants its result before anything else is said.
  function askForResults(calls) {
    const form = document.createElement("form");
    for (const call of calls) {
      const input = Object.assign(document.createElement("input"), { name: call.id, autocomplete: "off" });
      input.dataset.tool = call.function.name;
      const label = document.createElement("label");
      label.append(`Result of ${call.function.name}`, input);
      form.append(label);
    }
    form.append(Object.assign(document.createElement("button"), { textContent: calls.length > 1 ? "Send the results" : "Send the result" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(giveResults);
    });
    results = bubble("results", "");
    results.append(form);
    talk.scrollTop = talk.scrollHeight;
  }
  function giveResults() {
    if (!results) return;
    history.push(...given());
    const told = [...results.querySelectorAll("input")].map((input) => `${input.dataset.tool} → ${input.value}`);
    results.remove();
    results = null;
    bubble("you", told.join("\n"));
  }

  function speak(text) {
    giveResults();
    const mine = bubble("you", text);
    if (picture) mine.append(Object.assign(document.createElement("img"), { src: picture, alt: "the picture that is sent" }));
    history.push(said(text));
    picture = null;
    by("picture").textContent = "";
  }

  async function ask() {
    const key = by("p-key").value.trim();
    const body = settings();
    const began = performance.now();
    stopping = new AbortController();
    const answer = await fetch(`${origin}/v1/chat/completions`, { method: "POST", headers: { authorization: "Bearer " + key, "content-type": "application/json" }, body: JSON.stringify(body), signal: stopping.signal });
    const id = answer.headers.get("x-request-id");
    meter({ id, input: 0, output: 0, cost: 0, first: null, rate: 0 });
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    const theirs = bubble("them", "");
    const message = { role: "assistant", content: "" };
    let thought = "";
    const write = () => {
      theirs.textContent = "";
      if (thought) theirs.append(Object.assign(document.createElement("span"), { className: "thought", textContent: thought }));
      theirs.append(message.content ?? "");
      if (message.tool_calls) theirs.append(Object.assign(document.createElement("span"), { className: "tool", textContent: toolText(message.tool_calls) }));
      talk.scrollTop = talk.scrollHeight;
    };
    if (!body.stream) {
      const document_ = await answer.json();
      Object.assign(message, document_.choices[0].message);
      write();
      finish(document_.usage, began, document_.usage?.completion_tokens);
    } else {
      let output = 0;
      let first = null;
      let prices = null;
      for await (const chunk of events(answer.body)) {
        if (chunk.error) throw new Error(chunk.error.message);
        const delta = chunk.choices?.[0]?.delta;
        if (delta && (delta.content || delta.reasoning_content || delta.tool_calls)) {
          if (first === null) {
            first = performance.now() - began;
            meter({ first });
            pricesOf(id, key).then((found) => (prices = found));
          }
          output += 1;
          message.content += delta.content ?? "";
          thought += delta.reasoning_content ?? "";
          for (const piece of delta.tool_calls ?? []) {
            message.tool_calls ??= [];
            const call = (message.tool_calls[piece.index] ??= { id: piece.id, type: "function", function: { name: "", arguments: "" } });
            call.function.name += piece.function?.name ?? "";
            call.function.arguments += piece.function?.arguments ?? "";
          }
          write();
          const seconds = (performance.now() - began - first) / 1000;
          const cost = prices ? (prices.tokens * prices.input + output * prices.output) / 1e15 : undefined;
          meter({ input: prices?.tokens, output, cost, rate: seconds > 0.2 ? output / seconds : undefined });
        }
        if (chunk.usage) finish(chunk.usage, began + (first ?? 0), chunk.usage.completion_tokens);
      }
    }
    if (message.tool_calls) message.content ||= null;
    history.push(message);
    if (message.tool_calls) askForResults(message.tool_calls);
  }
  function finish(usage, since, output) {
    if (!usage) return;
    const seconds = (performance.now() - since) / 1000;
    meter({ input: usage.prompt_tokens, output: usage.completion_tokens, cost: usage.cost === undefined ? null : usage.cost, rate: seconds > 0 && output > 1 ? output / seconds : undefined });
  }

  async function attempt(begin) {
    if (!by("p-key").value.trim()) return by("p-key").focus();
    by("stop").hidden = false;
    try {
      settings(); // before anything is said: what is no JSON is told first
      begin();
      await ask();
    } catch (problem) {
      bubble("bad", problem.name === "AbortError" ? "Stopped." : problem.name === "SyntaxError" ? "The tools are no JSON: " + problem.message : problem.message);
      if (history.at(-1)?.role === "user") history.pop();
    }
    by("stop").hidden = true;
    code();
    (results?.querySelector("input") ?? by("text")).focus();
  }

  by("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = by("text").value.trim();
    attempt(() => {
      by("say").reset(); // and not only empties it: a field that waits for text is no mistake
      speak(text);
    });
  });
  by("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      by("say").requestSubmit();
    }
  });
  by("stop").addEventListener("click", () => stopping?.abort());
  by("clear").addEventListener("click", () => {
    history.length = 0;
    results = null;
    talk.replaceChildren();
    code();
  });
  by("image").addEventListener("change", () => {
    const file = by("image").files[0];
    if (!file) return;
    const reader = new FileReader();
    reader.onload = () => {
      picture = reader.result;
      by("picture").textContent = file.name;
      code();
    };
    reader.readAsDataURL(file);
    by("image").value = "";
  });
  code();
});
