"""The one seam to Flower's internals. Flower is pinned; contract tests hold every file of it."""
