"""One function per step of an import; each reaches out only through ports."""
