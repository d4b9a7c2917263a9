// Anthropic's SDK for Node.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const asked = {
  model: "claude-sonnet-5-5", max_tokens: 200, messages: [{ role: "user", content: "time people year" }],
};
console.log(JSON.stringify([
  await client.messages.create(asked),
  await client.messages.stream(asked).finalMessage(),
]));
