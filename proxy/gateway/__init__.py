"""What the gateway decides, without I/O: who may serve a call, in which order, in which dialect."""
