"""Base class of MXNet packages."""
