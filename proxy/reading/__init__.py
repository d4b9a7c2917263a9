"""From the bytes of a call to documents, however they are cut.  No I/O."""
