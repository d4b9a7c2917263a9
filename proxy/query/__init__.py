"""One language for questions about calls, in the API and in commands: words in, a `Query` out."""
