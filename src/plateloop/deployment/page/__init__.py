"""The live page: streams, events as they come, and a search in the store, in a browser."""
