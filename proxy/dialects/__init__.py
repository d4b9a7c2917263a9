"""Wire formats: from decoded documents to a `Reading`.  No I/O, no clock.

A call is read by one `Reader`.  `proxy.reading` undoes encodings and framing and hands it
documents: the one JSON body, or each event of a stream.  A dialect never sees bytes, so how a
stream was cut cannot matter to it.

`contract` holds what every dialect builds on.  A dialect module exports `ROUTES`; `table` lists the
modules and finds the endpoint of a call.
"""
