"""Revisions, each a module."""
