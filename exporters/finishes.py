"""Why models stop without having answered, as providers write it, in lower case.

From the API references of OpenAI, Anthropic, Gemini, Bedrock, Cohere, Mistral, DeepSeek, xAI and
Z.ai (November 2026).  Any other reason, and none, says nothing against the answer.
"""

CUT = (  # at a limit
    *("length", "max_tokens", "max_output_tokens", "model_length", "error_limit"),
    *("model_context_window_exceeded", "max_prompt_tokens"),
)
REFUSED = (  # unwilling, or not allowed to answer
    *("refusal", "content_filter", "content_filtered", "guardrail_intervened", "safety"),
    *("recitation", "blocklist", "prohibited_content", "spii", "language", "sensitive"),
    *("image_safety", "image_prohibited_content", "image_recitation", "error_toxic"),
)
BROKEN = (  # by a fault of the model's or of its provider's
    *("error", "timeout", "other", "network_error", "insufficient_system_resource"),
    *("malformed_function_call", "malformed_response", "malformed_model_output"),
    *("malformed_tool_use", "unexpected_tool_call", "too_many_tool_calls"),
    *("missing_thought_signature", "no_image", "image_other"),
)
