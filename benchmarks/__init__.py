"""How fast Signoff is: `python -m benchmarks`."""
