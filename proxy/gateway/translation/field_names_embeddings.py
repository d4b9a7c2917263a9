"""The names of all request fields of OpenAI's and Gemini's embeddings: see `fields`."""

# name, who carries it (o: OpenAI's dialect, g, c: Cohere).  OpenAI's own API has no `input_type`
# and no `truncate`; others of its dialect do.
EMBEDDINGS = """
model              g c
input              g c
dimensions         g c
encoding_format    g c
input_type         g c
truncate           c
user
"""
GEMINI_EMBEDDINGS = """
model                                   o c
content.role                            o c
content.parts[].text                    o c
taskType                                c
title
outputDimensionality                    o c
autoTruncate                            c
mimeType
documentOcr
audioTrackExtraction
embedContentConfig.taskType             c
embedContentConfig.title
embedContentConfig.outputDimensionality  o c
embedContentConfig.autoTruncate         c
embedContentConfig.mimeType
embedContentConfig.documentOcr
embedContentConfig.audioTrackExtraction
"""
# Of a content's parts: what is no text, or says how to read what is none.
GEMINI_EMBEDDINGS_PARTS = (
    *("audioMetadata", "audioTranscription", "codeExecutionResult", "documentMetadata"),
    *("executableCode", "fileData", "functionCall", "functionResponse", "inlineData"),
    *("mediaProcessing", "mediaResolution", "partMetadata", "speechMetadata"),
    *("spreadsheetMetadata", "thought", "thoughtSignature", "toolCall", "toolResponse"),
    "videoMetadata",
)
BATCH = "requests[]."  # begins the names of the fields of a batch
