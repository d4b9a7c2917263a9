// Mistral's SDK for Node: a chat, streamed and not.
import { Mistral } from "@mistralai/mistralai";

const client = new Mistral({ serverURL: process.argv[2], apiKey: process.env.OPENAI_API_KEY });
const asked = { model: "mistral-small-latest", messages: [{ role: "user", content: "time people year" }] };
const found = [await client.chat.complete(asked)];
for await (const event of await client.chat.stream(asked)) found.push(event);
console.log(JSON.stringify(found));
