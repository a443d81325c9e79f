"""Metrics of the inference contract; see ``metrics_manager``."""
