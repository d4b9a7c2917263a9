"""The names of all request fields, with who else carries each: see `fields`."""

# name, who carries it (o, a, g); `~` before one that leaves it out and lists it.
OPENAI = """
model                                              a g
stream                                             a g
stream_options.include_usage                       a g
stream_options.include_obfuscation
messages[].role                                    a g
messages[].content                                 a g
messages[].content[].type                          a g
messages[].content[].text                          a g
messages[].content[].refusal                       a g
messages[].content[].image_url.url                 a g
messages[].content[].image_url.detail
messages[].content[].file.file_data                a g
messages[].content[].file.filename                 a ~g
messages[].content[].file.file_id
messages[].content[].input_audio.data              g
messages[].content[].input_audio.format            g
messages[].content[].prompt_cache_breakpoint.mode  a
messages[].content[].prompt_cache_breakpoint.ttl
messages[].name
messages[].refusal                                 a g
messages[].tool_call_id                            a g
messages[].tool_calls[].id                         a g
messages[].tool_calls[].type                       a g
messages[].tool_calls[].function.name              a g
messages[].tool_calls[].function.arguments         a g
messages[].tool_calls[].custom.*
messages[].tool_calls[].extra_content.google.thought_signature  g
messages[].function_call.*
messages[].audio.*
messages[].reasoning_content                       g
messages[].reasoning_details[].text                g
messages[].reasoning_details[].signature           a
messages[].reasoning_details[].data                g
tools[].type                                       a g
tools[].function.name                              a g
tools[].function.description                       a g
tools[].function.parameters                        a g
tools[].function.strict                            a g
tools[].custom.*
tool_choice                                        a g
tool_choice.type                                   a g
tool_choice.function.name                          a g
tool_choice.allowed_tools.*
tool_choice.custom.*
parallel_tool_calls                                a
response_format.type                               a g
response_format.json_schema.name                   a g
response_format.json_schema.description            a g
response_format.json_schema.schema                 a g
response_format.json_schema.strict                 a g
max_tokens                                         a g
max_completion_tokens                              a g
temperature                                        a g
top_p                                              a g
top_k                                              a g
stop                                               a g
seed                                               g
presence_penalty                                   g
frequency_penalty                                  g
reasoning_effort                                   a g
user                                               a
safety_identifier                                  a
service_tier                                       g
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
verbosity
web_search_options.*
prompt_cache_key                                   ~a ~g
prompt_cache_options.*
prompt_cache_retention
functions[].*
function_call.*
"""

ANTHROPIC = """
model                                              o g
stream                                             o g
max_tokens                                         o g
system                                             o g
system[].type                                      o g
system[].text                                      o g
system[].cache_control.type                        o
system[].cache_control.ttl
system[].citations[].*
messages[].role                                    o g
messages[].content                                 o g
messages[].content[].type                          o g
messages[].content[].text                          o g
messages[].content[].citations.*
messages[].content[].cache_control.type            o
messages[].content[].cache_control.ttl
messages[].content[].source.type                   o g
messages[].content[].source.media_type             o g
messages[].content[].source.data                   o g
messages[].content[].source.url                    o
messages[].content[].source.file_id
messages[].content[].source.content.*
messages[].content[].title                         o ~g
messages[].content[].context
messages[].content[].transformations.*
messages[].content[].thinking                      g
messages[].content[].signature                     g
messages[].content[].data                          g
messages[].content[].id                            o g
messages[].content[].name                          o g
messages[].content[].input                         o g
messages[].content[].caller.type                   o g
messages[].content[].caller.tool_id
messages[].content[].toolset_name
messages[].content[].tool_use_id                   o g
messages[].content[].content                       o g
messages[].content[].content[].type                o g
messages[].content[].content[].text                o g
messages[].content[].content[].source.*            g
messages[].content[].content[].cache_control.type  o
messages[].content[].content[].cache_control.ttl
messages[].content[].content.*
messages[].content[].is_error                      g
messages[].content[].file_id
tools[].name                                       o g
tools[].description                                o g
tools[].input_schema.*                             o g
tools[].strict                                     o g
tools[].type                                       o g
tools[].cache_control.*
tools[].allowed_callers
tools[].defer_loading
tools[].eager_input_streaming
tools[].input_examples
tool_choice.type                                   o g
tool_choice.name                                   o g
tool_choice.disable_parallel_tool_use              o
thinking.type                                      o g
thinking.budget_tokens                             g
thinking.display                                   g
output_config.effort                               o g
output_config.format.type                          o g
output_config.format.schema                        o g
temperature                                        o g
top_p                                              o g
top_k                                              g
stop_sequences                                     o g
metadata.user_id                                   o
service_tier                                       o g
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
contents[].role                                    o a
contents[].parts[].text                            o a
contents[].parts[].thought                         a
contents[].parts[].thoughtSignature                a
contents[].parts[].inlineData.mimeType             o a
contents[].parts[].inlineData.data                 o a
contents[].parts[].inlineData.displayName          ~o ~a
contents[].parts[].fileData.mimeType               o a
contents[].parts[].fileData.fileUri                o a
contents[].parts[].fileData.displayName            ~o ~a
contents[].parts[].functionCall.id                 o a
contents[].parts[].functionCall.name               o a
contents[].parts[].functionCall.args               o a
contents[].parts[].functionCall.partialArgs[].*
contents[].parts[].functionCall.willContinue
contents[].parts[].functionResponse.id             o a
contents[].parts[].functionResponse.name           o a
contents[].parts[].functionResponse.response       o a
contents[].parts[].functionResponse.parts[].inlineData.*  a
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
systemInstruction.parts[].text                     o a
tools[].functionDeclarations[].name                o a
tools[].functionDeclarations[].description         o a
tools[].functionDeclarations[].parameters          o a
tools[].functionDeclarations[].parametersJsonSchema  o a
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
toolConfig.functionCallingConfig.mode              o a
toolConfig.functionCallingConfig.allowedFunctionNames  o a
toolConfig.functionCallingConfig.streamFunctionCallArguments
toolConfig.includeServerSideToolInvocations
toolConfig.retrievalConfig.*
generationConfig.temperature                       o a
generationConfig.topP                              o a
generationConfig.topK                              a
generationConfig.maxOutputTokens                   o a
generationConfig.stopSequences                     o a
generationConfig.seed                              o
generationConfig.presencePenalty                   o
generationConfig.frequencyPenalty                  o
generationConfig.responseMimeType                  o
generationConfig.responseSchema                    o a
generationConfig.responseJsonSchema                o a
generationConfig.thinkingConfig.thinkingBudget     a
generationConfig.thinkingConfig.thinkingLevel      o a
generationConfig.thinkingConfig.includeThoughts    a
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
serviceTier                                        o
safetySettings[].*
cachedContent
labels
modelArmorConfig.*
store
"""
