"""The networks of a VAE as graphs, and the search for encoder and decoder in them.

A graph comes from a model in memory (`memory.py`) or from a file (`kelbo.clinic.foreign`). The
search is the same in both.
"""
