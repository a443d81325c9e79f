"""Base classes of inference code, and the server that runs it.

One code base for Python 2.7 to 3.13: standard library, Werkzeug and gunicorn only. Engine libraries are imported
inside the functions that need them, so that every base class can be imported in every image.
"""
