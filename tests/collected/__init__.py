"""Layers with backward passes, in the layouts and habits of public teaching code; see tests/layer_collection.py."""
