"""The command line: one file a module; it parses, calls and prints."""
