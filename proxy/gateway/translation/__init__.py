"""From one provider's API to another's: requests, answers, streams and errors, without I/O."""
