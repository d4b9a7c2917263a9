"""What the gateway decides, without I/O: who may serve a call, and in which order to try."""
