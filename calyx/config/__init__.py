"""Sections of a config: parsed once into frozen values, with a sentence for each mistake."""
