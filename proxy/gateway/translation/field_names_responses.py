"""The names of all request fields of OpenAI's Responses: see `fields`."""

# name, who carries it (o: OpenAI's chat, a, g); `~` before one that leaves it out and lists it.
RESPONSES = """
model                                              o a g
stream                                             o a g
stream_options.include_obfuscation
instructions                                       o a g
input                                              o a g
input[].type                                       o a g
input[].id                                         o a g
input[].status                                     o a g
input[].role                                       o a g
input[].phase
input[].content                                    o a g
input[].content[].type                             o a g
input[].content[].text                             o a g
input[].content[].refusal                          o a g
input[].content[].image_url                        o a g
input[].content[].detail                           o
input[].content[].file_data                        o a g
input[].content[].filename                         o a ~g
input[].content[].file_url                         a
input[].content[].file_id
input[].content[].annotations[].*
input[].content[].logprobs[].*
input[].content[].prompt_cache_breakpoint.mode     o a
input[].content[].prompt_cache_breakpoint.ttl
input[].call_id                                    o a g
input[].name                                       o a g
input[].namespace                                  o a g
input[].arguments                                  o a g
input[].async
input[].caller.type                                o a g
input[].caller.caller_id
input[].output                                     o a g
input[].output[].type                              o a g
input[].output[].text                              o a g
input[].output[].image_url                         a g
input[].output[].detail
input[].output[].file_data                         a g
input[].output[].filename                          a ~g
input[].output[].file_url                          a
input[].output[].file_id
input[].output[].prompt_cache_breakpoint.mode      o a
input[].output[].prompt_cache_breakpoint.ttl
input[].output[].outcome.*
input[].output[].stderr
input[].output[].stdout
input[].output.*
input[].summary[].type                             g
input[].summary[].text                             g
input[].encrypted_content                          a
tools[].type                                       o a g
tools[].name                                       o a g
tools[].description                                o a g
tools[].parameters                                 o a g
tools[].strict                                     o a g
tools[].allowed_callers
tools[].async
tools[].defer_loading
tools[].output_schema
tools[].tools[].type                               o a g
tools[].tools[].name                               o a g
tools[].tools[].description                        o a g
tools[].tools[].parameters                         o a g
tools[].tools[].strict                             o a g
tools[].tools[].allowed_callers
tools[].tools[].async
tools[].tools[].defer_loading
tools[].tools[].output_schema
tools[].tools[].format.*
tool_choice                                        o a g
tool_choice.type                                   o a g
tool_choice.name                                   o a g
tool_choice.mode
tool_choice.server_label
tool_choice.tools[].*
parallel_tool_calls                                o a
text.format.type                                   o a g
text.format.name                                   o a g
text.format.description                            o a g
text.format.schema                                 o a g
text.format.strict                                 o a g
text.verbosity                                     o
max_output_tokens                                  o a g
temperature                                        o a g
top_p                                              o a g
reasoning.effort                                   o a g
reasoning.summary                                  a g
reasoning.generate_summary                         a g
reasoning.context
reasoning.mode
user                                               o a
safety_identifier                                  o a
service_tier                                       o g
prompt_cache_key                                   o ~a ~g
prompt_cache_options.*
prompt_cache_retention
previous_response_id
conversation.*
prompt.*
store
include
metadata
background
background_options.*
context_management[].*
truncation
top_logprobs
max_tool_calls
moderation.*
access_programs.*
image.*
client_metadata.*                                  ~o ~a ~g
"""

# Of items and of tools that are OpenAI's own, or have no schema.
RESPONSES_OWN_ITEMS = (
    *("acknowledged_safety_checks", "action", "actions", "approval_request_id", "approve"),
    *("background", "code", "container_id", "environment", "error", "execution", "fingerprint"),
    *("input", "max_output_length", "operation", "output_format", "outputs"),
    *("pending_safety_checks", "quality", "queries", "reason", "reasoning", "result", "results"),
    *("revised_prompt", "server_label", "size", "svg_usage", "text", "tools"),
)
RESPONSES_OWN_TOOLS = (
    *("action", "allowed_tools", "authorization", "background", "complexity", "connector_id"),
    *("container", "display_height", "display_width", "environment", "execution"),
    *("external_web_access", "filters", "format", "frame_count", "frame_duration_ms", "headers"),
    *("input_fidelity", "input_image_mask", "max_num_results", "model", "moderation"),
    *("output_compression", "output_format", "partial_images", "quality", "ranking_options"),
    *("require_approval", "search_content_types", "search_context_size", "server_description"),
    *("server_label", "server_url", "size", "svg", "tunnel_id", "user_location"),
    *("vector_store_ids",),
)
