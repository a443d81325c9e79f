"""`make bench`: what the project promises about speed, measured against well-known tools in one run."""
