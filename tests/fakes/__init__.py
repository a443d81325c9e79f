"""In-memory stand-ins of every port: small, honest implementations of the ports' docstrings.

They pass the same contract tests as the adapters. Where a test needs the outside world to fail, the fake has an
attribute that says so; none of them fails by itself.
"""
