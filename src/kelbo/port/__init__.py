"""From a VAE script of the books to one for Keras 3 that runs on all three backends."""

from kelbo.port.ported import Ported, port
from kelbo.port.script import Left

__all__ = ["Left", "Ported", "port"]
