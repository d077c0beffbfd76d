"""Annotation formats: one file each, to and from the manifest."""
