"""OpenAI-compatible endpoints over HTTP: requests, responses, streams, and their errors."""
