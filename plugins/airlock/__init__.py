"""Airlock: the gate between a trained model in object storage and a service that may answer for it."""

__version__ = "0.1.0"
