"""The kit command: parse, call, print."""
