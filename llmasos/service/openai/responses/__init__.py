"""The Responses API: conversations that the service remembers."""
