"""The fast engine: everything that exists for speed. Equal to the plain layers, which are the ones to read."""
