"""Inference code, judged without running it: what its runtime's Python makes of it, and what the server will find."""
