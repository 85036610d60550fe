"""Faces the outside: agents' HTTP, Slack, the clock, the command line. Parses, calls one use case, renders."""
