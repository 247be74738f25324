"""The networks of a VAE as graphs, and which part of them is the encoder, and which the decoder.

A graph comes from a model in memory (`memory.py`) or from a file (`kelbo.clinic.foreign`); the
roles are found in both alike.
"""
