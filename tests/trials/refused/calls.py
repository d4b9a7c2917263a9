"""One call of each SDK with its defaults, as a program that prints what was raised."""

PYTHON = ("openai", "anthropic", "google-genai", "cohere", "boto3")
NODE = ("openai", "@anthropic-ai/sdk", "@google/genai", "ai", "@ai-sdk/openai")
CHAT = """{ model: "gpt-4.1", messages: [{ role: "user", content: "hi" }] }"""
NODE_TELLS = """
} catch (error) {
  const told = error.lastError ?? error;
  const status = told.status ?? told.statusCode;
  console.log(JSON.stringify([`${error.constructor.name} ${status}`, String(told.message)]));
}
"""
PYTHON_TELLS = """
except Exception as error:
    answer = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(answer, dict):
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
    print(json.dumps([f"{type(error).__name__} {status}", str(error)]))
"""
# Name → the language, and what makes one call.
CALLS = {
    "openai (Python)": (
        "python",
        'import openai\nopenai.OpenAI().chat.completions.create(model="gpt-4.1", '
        'messages=[{"role": "user", "content": "hi"}])',
    ),
    "anthropic (Python)": (
        "python",
        'import anthropic\nanthropic.Anthropic().messages.create(model="claude-sonnet-4-5", '
        'max_tokens=10, messages=[{"role": "user", "content": "hi"}])',
    ),
    "google-genai (Python)": (
        "python",
        'import os\nfrom google import genai\noptions = {"base_url": os.environ["GEMINI"]}\n'
        "client = genai.Client(http_options=options)\n"
        'client.models.generate_content(model="gemini-2.5-flash", contents="hi")',
    ),
    "cohere (Python)": (
        "python",
        'import os, cohere\nclient = cohere.ClientV2("key", base_url=os.environ["COHERE"])\n'
        'client.chat(model="command-a-03-2025", messages=[{"role": "user", "content": "hi"}])',
    ),
    "boto3 (Python)": (
        "python",
        'import os, boto3\nbedrock = boto3.client("bedrock-runtime", region_name="us-east-1", '
        'endpoint_url=os.environ["BEDROCK"])\n'
        'bedrock.converse(modelId="amazon.nova-lite-v1:0", '
        'messages=[{"role": "user", "content": [{"text": "hi"}]}])',
    ),
    "openai (Node)": (
        "node",
        'const { default: OpenAI } = await import("openai");\n'
        f"await new OpenAI().chat.completions.create({CHAT});",
    ),
    "@anthropic-ai/sdk (Node)": (
        "node",
        'const { default: Anthropic } = await import("@anthropic-ai/sdk");\n'
        'await new Anthropic().messages.create({ model: "claude-sonnet-4-5", max_tokens: 10, '
        'messages: [{ role: "user", content: "hi" }] });',
    ),
    "@google/genai (Node)": (
        "node",
        'const { GoogleGenAI } = await import("@google/genai");\n'
        "const ai = new GoogleGenAI({ httpOptions: { baseUrl: process.env.GEMINI } });\n"
        'await ai.models.generateContent({ model: "gemini-2.5-flash", contents: "hi" });',
    ),
    "Vercel AI SDK (Node)": (
        "node",
        'const { generateText } = await import("ai");\n'
        'const { createOpenAI } = await import("@ai-sdk/openai");\n'
        "const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });\n"
        'await generateText({ model: openai.chat("gpt-4.1"), prompt: "hi" });',
    ),
}


def script(language: str, call: str) -> str:
    """A program that makes the call and prints what it raised."""
    if language == "node":
        return f"try {{\n{call}\n{NODE_TELLS}"
    lines = "\n".join(f"    {line}" for line in call.splitlines())
    return f"import json\ntry:\n{lines}\n{PYTHON_TELLS}"
