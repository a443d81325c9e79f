"""The only home of client libraries: each module implements one port."""
