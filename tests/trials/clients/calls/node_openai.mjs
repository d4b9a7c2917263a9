// OpenAI's SDK for Node: each kind of call, streamed and not.
import OpenAI from "openai";

const client = new OpenAI();
const messages = [{ role: "user", content: "time people year" }];
const collected = async (stream) => {
  const all = [];
  for await (const item of stream) all.push(item);
  return all;
};

console.log(JSON.stringify([
  await client.chat.completions.create({ model: "gpt-5.4-mini", messages }),
  await collected(await client.chat.completions.create({
    model: "gpt-5.4-mini", messages, stream: true, stream_options: { include_usage: true },
  })),
  await client.responses.create({ model: "gpt-5.4", input: "life" }),
  await collected(await client.responses.create({ model: "gpt-5.4", input: "life", stream: true })),
  await client.embeddings.create({ model: "text-embedding-3-small", input: "life" }),
]));
