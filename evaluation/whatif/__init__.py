"""What other routes would have done: replayed, estimated from the rows, or simulated in queues."""
