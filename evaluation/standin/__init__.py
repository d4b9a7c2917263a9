"""A stand-in for LLM providers: their dialects and real usage shapes, without a model.

The same request gets the same answer, byte for byte, so that what came through a proxy can be
compared with what was sent.  Texts consist of words that are one token each, so that the reported
usage is what a tokenizer counts.  `server` and `sending` do all the I/O; the rest is pure.
"""
