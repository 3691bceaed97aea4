"""aisa: an open server for the chat-completions API. Holds the version and nothing else, so importing it runs nothing."""

__version__ = "0.1.0"
