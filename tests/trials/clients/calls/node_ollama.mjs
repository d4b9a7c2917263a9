// Ollama's SDK for Node: a chat, streamed and not, and an embedding.
import { Ollama } from "ollama";

const client = new Ollama({ host: process.argv[2] });
const asked = { model: "llama3.2", messages: [{ role: "user", content: "time people year" }] };
const found = [await client.chat(asked)];
for await (const part of await client.chat({ ...asked, stream: true })) found.push(part);
found.push(await client.embed({ model: "all-minilm", input: "life" }));
console.log(JSON.stringify(found));
