"""The clients, and the setting that sends the calls of each to Taximeter."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# These differ in every call that boto3 signs: time, id, and thus the signature.
SIGNED = frozenset({"authorization", "x-amz-date", "amz-sdk-invocation-id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A script of `calls/`, the packages it needs, and how its base URL is set.

    In `variables` and `code`, `{base}` is `http://127.0.0.1:4000/PROVIDER`.
    """

    name: str
    script: str
    provider: str
    packages: tuple[str, ...] = ()  # of PyPI, or of npm for a .mjs; the first one is the client
    variables: Mapping[str, str] = field(default_factory=dict)  # of the environment
    code: str = ""  # the setting in the caller's code or files, if there is no variable
    arguments: tuple[str, ...] = ()  # of the script, after the base URL
    priced: bool = True  # False: a local model has no tariff
    fresh: frozenset[str] = frozenset()  # lower-case names of headers that differ in every call


OPENAI = {"OPENAI_BASE_URL": "{base}/v1"}
ANTHROPIC = {"ANTHROPIC_BASE_URL": "{base}"}
GEMINI = {"GOOGLE_GEMINI_BASE_URL": "{base}"}
# Without a tag, npm takes the newest version for the Node on the PATH, which may be an older one.
AI = ("ai@latest", "@ai-sdk/openai@latest", "@ai-sdk/anthropic@latest")


def _openai(name: str, script: str, *packages: str, **more: object) -> Client:
    return Client(
        name=name,
        script=script,
        provider="openai",
        packages=packages,
        variables=OPENAI,
        **more,  # type: ignore[arg-type]  # fields of Client
    )


def _anthropic(name: str, script: str, *packages: str, **more: object) -> Client:
    return Client(
        name=name,
        script=script,
        provider="anthropic",
        packages=packages,
        variables=ANTHROPIC,
        **more,  # type: ignore[arg-type]  # fields of Client
    )


MORE = (
    Client(
        name="@mistralai/mistralai, Node",
        script="node_mistral.mjs",
        provider="mistral",
        packages=("@mistralai/mistralai@latest",),
        code='new Mistral({{ serverURL: "{base}" }})',
    ),
    Client(
        name="cohere-ai, Node",
        script="node_cohere.mjs",
        provider="cohere",
        packages=("cohere-ai@latest",),
        code='new CohereClientV2({{ environment: "{base}" }})',
    ),
    Client(
        name="groq-sdk, Node",
        script="node_groq.mjs",
        provider="groq",
        packages=("groq-sdk@latest",),
        variables={"GROQ_BASE_URL": "{base}"},
    ),
    Client(
        name="ollama, Node",
        script="node_ollama.mjs",
        provider="ollama",
        packages=("ollama@latest",),
        code='new Ollama({{ host: "{base}" }})',
        priced=False,
    ),
    _openai(
        "@langchain/openai, Node",
        "node_langchain.mjs",
        *("@langchain/openai@latest", "@langchain/core@latest"),
        arguments=("openai", "gpt-5.4-mini"),
    ),
    _anthropic(
        "@langchain/anthropic, Node",
        "node_langchain.mjs",
        *("@langchain/anthropic@latest", "@langchain/core@latest"),
        arguments=("anthropic", "claude-sonnet-5-5"),
    ),
    Client(
        name="@aws-sdk/client-bedrock-runtime, Node",
        script="node_bedrock.mjs",
        provider="bedrock",
        packages=("@aws-sdk/client-bedrock-runtime@latest",),
        variables={"AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key"},
        code='new BedrockRuntimeClient({{ endpoint: "{base}", requestHandler: … }})',
        fresh=frozenset({"host", "amz-sdk-invocation-id"}),  # its Host is not the first header
    ),
    Client(
        name="cerebras-cloud-sdk",
        script="stainless_sdk.py",
        provider="cerebras",
        packages=("cerebras-cloud-sdk",),
        variables={"CEREBRAS_BASE_URL": "{base}"},
        arguments=("cerebras.cloud.sdk", "Cerebras", "gpt-oss-120b"),
    ),
    Client(
        name="together",
        script="stainless_sdk.py",
        provider="together",
        packages=("together",),
        variables={"TOGETHER_BASE_URL": "{base}"},
        arguments=("together", "Together", "openai/gpt-oss-120b"),
    ),
    Client(
        name="perplexityai",
        script="stainless_sdk.py",
        provider="perplexity",
        packages=("perplexityai",),
        variables={"PERPLEXITY_BASE_URL": "{base}"},
        priced=False,  # no price is known for the moment of the run
        arguments=("perplexity", "Perplexity", "sonar"),
    ),
    Client(
        name="fireworks-ai",
        script="stainless_sdk.py",
        provider="fireworks",
        packages=("fireworks-ai",),
        variables={"FIREWORKS_BASE_URL": "{base}"},
        arguments=("fireworks", "Fireworks", "accounts/fireworks/models/gpt-oss-120b"),
    ),
    Client(
        name="voyageai",
        script="voyage_sdk.py",
        provider="voyage",
        packages=("voyageai",),
        code='Client(base_url="{base}/v1")',
    ),
    Client(
        name="huggingface-hub",
        script="huggingface_client.py",
        provider="huggingface",
        packages=("huggingface-hub",),
        code='InferenceClient(base_url="{base}/v1")',
        priced=False,
        fresh=frozenset({"x-amzn-trace-id"}),
    ),
    _openai("smolagents", "smolagents_model.py", "smolagents[openai]"),
    _anthropic("strands-agents", "strands_agent.py", "strands-agents[anthropic]"),
    _openai("llama-index-llms-openai", "llama_index_llm.py", "llama-index-llms-openai"),
    _openai("dspy", "dspy_predict.py", "dspy"),
    _openai("crewai", "crewai_llm.py", "crewai"),
    Client(
        name="google-adk",
        script="google_adk_model.py",
        provider="gemini",
        packages=("google-adk",),
        variables=GEMINI,
    ),
)
CLIENTS = (
    _openai("openai 3", "openai_sdk.py", "openai[realtime]>=3,<4"),
    _openai("openai 2", "openai_sdk.py", "openai[realtime]>=2,<3"),
    _openai("openai 3, WebSocket", "openai_sockets.py", "openai[realtime]>=3,<4"),
    _anthropic("anthropic 2", "anthropic_sdk.py", "anthropic>=2,<3"),
    _anthropic("anthropic 1", "anthropic_sdk.py", "anthropic>=1,<2"),
    Client(
        name="google-genai",
        script="google_genai.py",
        provider="gemini",
        packages=("google-genai",),
        variables=GEMINI,
    ),
    Client(
        name="mistralai",
        script="mistral_sdk.py",
        provider="mistral",
        packages=("mistralai",),
        code='Mistral(server_url="{base}")',
    ),
    Client(
        name="cohere",
        script="cohere_sdk.py",
        provider="cohere",
        packages=("cohere",),
        variables={"CO_API_URL": "{base}"},
    ),
    Client(
        name="groq",
        script="groq_sdk.py",
        provider="groq",
        packages=("groq",),
        variables={"GROQ_BASE_URL": "{base}"},
    ),
    Client(
        name="dashscope",
        script="dashscope_sdk.py",
        provider="qwen",
        packages=("dashscope",),
        variables={"DASHSCOPE_HTTP_BASE_URL": "{base}/api/v1"},
        fresh=frozenset({"x-dashscope-sdk-session-id"}),
    ),
    Client(
        name="ollama",
        script="ollama_sdk.py",
        provider="ollama",
        packages=("ollama",),
        variables={"OLLAMA_HOST": "{base}"},
        priced=False,
    ),
    Client(
        name="boto3 bedrock-runtime",
        script="boto3_bedrock.py",
        provider="bedrock",
        packages=("boto3",),
        variables={"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "{base}"},
        fresh=SIGNED,
    ),
    Client(
        name="litellm-core, OpenAI",
        script="litellm_library.py",
        provider="openai",
        packages=("litellm-core",),
        code='completion(api_base="{base}/v1")',
        arguments=("openai/gpt-5.4-mini",),
    ),
    Client(
        name="litellm-core, Anthropic",
        script="litellm_library.py",
        provider="anthropic",
        packages=("litellm-core",),
        code='completion(api_base="{base}")',
        arguments=("anthropic/claude-sonnet-5-5",),
    ),
    _openai("langchain-openai", "langchain_openai_chat.py", "langchain-openai"),
    _anthropic("langchain-anthropic", "langchain_anthropic_chat.py", "langchain-anthropic"),
    _openai(
        "pydantic-ai, OpenAI",
        "pydantic_ai_agent.py",
        "pydantic-ai-slim[openai,anthropic]",
        arguments=("openai:gpt-5.4-mini",),
    ),
    _anthropic(
        "pydantic-ai, Anthropic",
        "pydantic_ai_agent.py",
        "pydantic-ai-slim[openai,anthropic]",
        arguments=("anthropic:claude-sonnet-5-5",),
    ),
    _openai("instructor", "instructor_client.py", "instructor"),
    _openai("openai-agents", "openai_agent.py", "openai-agents"),
    Client(
        name="llm",
        script="llm_command.py",
        provider="openai",
        packages=("llm",),
        code="extra-openai-models.yaml: api_base: {base}/v1",
    ),
    _openai("openai, Node", "node_openai.mjs", "openai@latest"),
    _anthropic("@anthropic-ai/sdk, Node", "node_anthropic.mjs", "@anthropic-ai/sdk@latest"),
    _openai("ai + @ai-sdk/openai", "node_ai.mjs", *AI, arguments=("openai", "gpt-5.4-mini")),
    Client(
        name="ai + @ai-sdk/anthropic",
        script="node_ai.mjs",
        provider="anthropic",
        packages=AI,
        variables={"ANTHROPIC_BASE_URL": "{base}/v1"},
        arguments=("anthropic", "claude-sonnet-5-5"),
    ),
    Client(
        name="@google/genai, Node",
        script="node_genai.mjs",
        provider="gemini",
        packages=("@google/genai@latest",),
        variables=GEMINI,
    ),
    *MORE,
    Client(name="curl", script="curl.sh", provider="openai", code="curl {base}/v1/…"),
)
