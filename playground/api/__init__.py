"""Slack's Web API, as far as a bot like Signoff needs it: parameters in, Slack's answers out."""
