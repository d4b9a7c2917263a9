// Groq's SDK for Node: it reports usage of streams unasked.
import Groq from "groq-sdk";

const client = new Groq();
const asked = { model: "openai/gpt-oss-120b", messages: [{ role: "user", content: "time people year" }] };
const found = [await client.chat.completions.create(asked)];
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) found.push(chunk);
console.log(JSON.stringify(found));
