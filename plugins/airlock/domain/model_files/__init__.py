"""Model files, read without loading them: what they would run, and whether they are whole."""
