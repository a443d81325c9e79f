"""Helpers that MXNet packages import."""
