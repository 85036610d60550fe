"""Slack's side: what comes from it is parsed, cards and modals are drawn, what is to be told is sent."""
