"""Deployments: a registered version as the manifest of the platform that shall serve it.

Manifests are values and argument lists; whoever writes them down quotes. Nothing of a request, a package or a record is
ever joined into text here.
"""
