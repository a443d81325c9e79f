"""What `python -m airlock` does on the command line."""
