"""A stand-in for LLM providers: their dialects and their true usage shapes, without a model.

The same request gets the same answer, byte for byte, so that what went through a proxy can be
compared with what was meant.  Text is made of words that are one token each, so that the usage
reported is what a tokenizer counts.  `server` and `sending` do all the I/O; the rest is values.
"""
