"""The names of all request fields, with who else carries each: see `fields`."""

# name, who carries it (o: OpenAI's chat, r: its Responses, a, g); `~` before one that leaves it out
# and lists it.
OPENAI = """
model                                              r a g
stream                                             r a g
stream_options.include_usage                       r a g
stream_options.include_obfuscation
messages[].role                                    r a g
messages[].content                                 r a g
messages[].content[].type                          r a g
messages[].content[].text                          r a g
messages[].content[].refusal                       r a g
messages[].content[].image_url.url                 r a g
messages[].content[].image_url.detail              r
messages[].content[].file.file_data                r a g
messages[].content[].file.filename                 r a ~g
messages[].content[].file.file_id
messages[].content[].input_audio.data              g
messages[].content[].input_audio.format            g
messages[].content[].prompt_cache_breakpoint.mode  r a
messages[].content[].prompt_cache_breakpoint.ttl
messages[].name
messages[].refusal                                 r a g
messages[].tool_call_id                            r a g
messages[].tool_calls[].id                         r a g
messages[].tool_calls[].type                       r a g
messages[].tool_calls[].function.name              r a g
messages[].tool_calls[].function.arguments         r a g
messages[].tool_calls[].custom.*
messages[].tool_calls[].extra_content.google.thought_signature  g
messages[].function_call.*
messages[].audio.*
messages[].reasoning_content                       g
messages[].reasoning_details[].text                g
messages[].reasoning_details[].signature           a
messages[].reasoning_details[].data                g
tools[].type                                       r a g
tools[].function.name                              r a g
tools[].function.description                       r a g
tools[].function.parameters                        r a g
tools[].function.strict                            r a g
tools[].custom.*
tool_choice                                        r a g
tool_choice.type                                   r a g
tool_choice.function.name                          r a g
tool_choice.allowed_tools.*
tool_choice.custom.*
parallel_tool_calls                                r a
response_format.type                               r a g
response_format.json_schema.name                   r a g
response_format.json_schema.description            r a g
response_format.json_schema.schema                 r a g
response_format.json_schema.strict                 r a g
max_tokens                                         r a g
max_completion_tokens                              r a g
temperature                                        r a g
top_p                                              r a g
top_k                                              a g
stop                                               a g
seed                                               g
presence_penalty                                   g
frequency_penalty                                  g
reasoning_effort                                   r a g
user                                               r a
safety_identifier                                  r a
service_tier                                       r g
n
logprobs
top_logprobs
logit_bias
store
metadata
modalities
audio.*
prediction.*
moderation.*
verbosity                                          r
web_search_options.*
prompt_cache_key                                   r ~a ~g
prompt_cache_options.*
prompt_cache_retention
functions[].*
function_call.*
"""

ANTHROPIC = """
model                                              o r g
stream                                             o r g
max_tokens                                         o r g
system                                             o r g
system[].type                                      o r g
system[].text                                      o r g
system[].cache_control.type                        o r
system[].cache_control.ttl
system[].citations[].*
messages[].role                                    o r g
messages[].content                                 o r g
messages[].content[].type                          o r g
messages[].content[].text                          o r g
messages[].content[].citations.*
messages[].content[].cache_control.type            o r
messages[].content[].cache_control.ttl
messages[].content[].source.type                   o r g
messages[].content[].source.media_type             o r g
messages[].content[].source.data                   o r g
messages[].content[].source.url                    o r
messages[].content[].source.file_id
messages[].content[].source.content.*
messages[].content[].title                         o r ~g
messages[].content[].context
messages[].content[].transformations.*
messages[].content[].thinking                      g
messages[].content[].signature                     g
messages[].content[].data                          g
messages[].content[].id                            o r g
messages[].content[].name                          o r g
messages[].content[].input                         o r g
messages[].content[].caller.type                   o r g
messages[].content[].caller.tool_id
messages[].content[].toolset_name
messages[].content[].tool_use_id                   o r g
messages[].content[].content                       o r g
messages[].content[].content[].type                o r g
messages[].content[].content[].text                o r g
messages[].content[].content[].source.*            r g
messages[].content[].content[].cache_control.type  o r
messages[].content[].content[].cache_control.ttl
messages[].content[].content.*
messages[].content[].is_error                      g
messages[].content[].file_id
tools[].name                                       o r g
tools[].description                                o r g
tools[].input_schema.*                             o r g
tools[].strict                                     o r g
tools[].type                                       o r g
tools[].cache_control.*
tools[].allowed_callers
tools[].defer_loading
tools[].eager_input_streaming
tools[].input_examples
tool_choice.type                                   o r g
tool_choice.name                                   o r g
tool_choice.disable_parallel_tool_use              o r
thinking.type                                      o r g
thinking.budget_tokens                             g
thinking.display                                   r g
output_config.effort                               o r g
output_config.format.type                          o r g
output_config.format.schema                        o r g
temperature                                        o r g
top_p                                              o r g
top_k                                              g
stop_sequences                                     o g
metadata.user_id                                   o r
service_tier                                       o r g
speed
cache_control.*
container.*
diagnostics.*
inference_geo
user_profile_id
workspace_id
"""

# Of a provider's own tools, each with options of its own, which no other has.
ANTHROPIC_OWN = (
    *("allowed_domains", "blocked_domains", "citations", "configs", "max_characters"),
    *("max_content_tokens", "max_uses", "response_inclusion", "url_sources", "use_cache"),
    *("user_location", "mcp_server_name", "default_config", "display_height_px"),
    *("display_width_px", "display_number", "enable_zoom", "viewport"),
)

GEMINI = """
contents[].role                                    o r a
contents[].parts[].text                            o r a
contents[].parts[].thought                         a
contents[].parts[].thoughtSignature                a
contents[].parts[].inlineData.mimeType             o r a
contents[].parts[].inlineData.data                 o r a
contents[].parts[].inlineData.displayName          ~o ~r ~a
contents[].parts[].fileData.mimeType               o r a
contents[].parts[].fileData.fileUri                o r a
contents[].parts[].fileData.displayName            ~o ~r ~a
contents[].parts[].functionCall.id                 o r a
contents[].parts[].functionCall.name               o r a
contents[].parts[].functionCall.args               o r a
contents[].parts[].functionCall.partialArgs[].*
contents[].parts[].functionCall.willContinue
contents[].parts[].functionResponse.id             o r a
contents[].parts[].functionResponse.name           o r a
contents[].parts[].functionResponse.response       o r a
contents[].parts[].functionResponse.parts[].inlineData.*  r a
contents[].parts[].functionResponse.parts[].fileData.*
contents[].parts[].functionResponse.parts[].mediaResolution.*
contents[].parts[].functionResponse.parts[].mediaProcessing
contents[].parts[].functionResponse.parts[].videoMetadata.*
contents[].parts[].functionResponse.parts[].audioMetadata.*
contents[].parts[].functionResponse.parts[].documentMetadata.*
contents[].parts[].functionResponse.parts[].spreadsheetMetadata.*
contents[].parts[].functionResponse.scheduling
contents[].parts[].functionResponse.willContinue
contents[].parts[].executableCode.*
contents[].parts[].codeExecutionResult.*
contents[].parts[].toolCall.*
contents[].parts[].toolResponse.*
contents[].parts[].audioMetadata.*
contents[].parts[].audioTranscription.*
contents[].parts[].documentMetadata.*
contents[].parts[].speechMetadata.*
contents[].parts[].spreadsheetMetadata.*
contents[].parts[].videoMetadata.*
contents[].parts[].mediaProcessing
contents[].parts[].mediaResolution.*
contents[].parts[].partMetadata
systemInstruction.parts[].text                     o r a
tools[].functionDeclarations[].name                o r a
tools[].functionDeclarations[].description         o r a
tools[].functionDeclarations[].parameters          o r a
tools[].functionDeclarations[].parametersJsonSchema  o r a
tools[].functionDeclarations[].behavior
tools[].functionDeclarations[].response.*
tools[].functionDeclarations[].responseJsonSchema
tools[].googleSearch.*
tools[].googleSearchRetrieval.*
tools[].googleMaps.*
tools[].codeExecution.*
tools[].computerUse.*
tools[].enterpriseWebSearch.*
tools[].exaAiSearch.*
tools[].fileSearch.*
tools[].mcpServers[].*
tools[].parallelAiSearch.*
tools[].retrieval.*
tools[].urlContext.*
toolConfig.functionCallingConfig.mode              o r a
toolConfig.functionCallingConfig.allowedFunctionNames  o r a
toolConfig.functionCallingConfig.streamFunctionCallArguments
toolConfig.includeServerSideToolInvocations
toolConfig.retrievalConfig.*
generationConfig.temperature                       o r a
generationConfig.topP                              o r a
generationConfig.topK                              a
generationConfig.maxOutputTokens                   o r a
generationConfig.stopSequences                     o a
generationConfig.seed                              o
generationConfig.presencePenalty                   o
generationConfig.frequencyPenalty                  o
generationConfig.responseMimeType                  o r
generationConfig.responseSchema                    o r a
generationConfig.responseJsonSchema                o r a
generationConfig.thinkingConfig.thinkingBudget     a
generationConfig.thinkingConfig.thinkingLevel      o r a
generationConfig.thinkingConfig.includeThoughts    r a
generationConfig.candidateCount
generationConfig.responseLogprobs
generationConfig.logprobs
generationConfig.responseModalities
generationConfig.mediaResolution
generationConfig.speechConfig.*
generationConfig.imageConfig.*
generationConfig.audioTimestamp
generationConfig.audioTranscriptionConfig.*
generationConfig.enableEnhancedCivicAnswers
generationConfig.modelSelectionConfig.*
generationConfig.routingConfig.*
generationConfig.generationOutputConfig.*
generationConfig.automaticContinuation
generationConfig.continuationToken
serviceTier                                        o r
safetySettings[].*
cachedContent
labels
modelArmorConfig.*
store
"""
