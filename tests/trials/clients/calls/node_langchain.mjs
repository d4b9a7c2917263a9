// LangChain for Node with the provider that its second argument names: "openai" or "anthropic".
const [, , , name, model] = process.argv;
const { ChatOpenAI, ChatAnthropic } = await import(`@langchain/${name}`);
const chat = name === "openai"
  ? new ChatOpenAI({ model, streamUsage: true, configuration: { baseURL: process.env.OPENAI_BASE_URL } })
  : new ChatAnthropic({ model, anthropicApiUrl: process.env.ANTHROPIC_BASE_URL });
const whole = await chat.invoke("time people year");
const found = [whole.content, whole.usage_metadata];
for await (const chunk of await chat.stream("time people year")) found.push(chunk.content);
console.log(JSON.stringify(found));
