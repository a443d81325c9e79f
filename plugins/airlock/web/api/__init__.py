"""The REST API, mounted below the pages."""
