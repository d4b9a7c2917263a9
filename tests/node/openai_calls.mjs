// node openai_calls.mjs BASE_URL HEADERS: one call of each kind with OpenAI's SDK for Node.
// HEADERS is a JSON object, added to every call.  Prints what the SDK returned, as JSON.
import OpenAI from "openai";

const [baseURL, headers] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "sk-standin-node", defaultHeaders: JSON.parse(headers) });
const messages = [{ role: "user", content: "hello" }];
const collected = async (stream) => {
  const all = [];
  for await (const item of stream) all.push(item);
  return all;
};

console.log(JSON.stringify([
  await client.chat.completions.create({ model: "gpt-4o-mini", messages }),
  await collected(await client.chat.completions.create({
    model: "gpt-4o-mini", messages, stream: true, stream_options: { include_usage: true },
  })),
  await client.responses.create({ model: "gpt-4o-mini", input: "hello" }),
  await collected(await client.responses.create({ model: "gpt-4o-mini", input: "hello", stream: true })),
  await client.embeddings.create({ model: "text-embedding-3-small", input: "hello" }),
]));
