"""From a VAE script of the books to one for Keras 3 that runs on all three backends.

`script` holds what the doctor read of it and the planned `edits`, which keep comments and
formatting. `spelling` gives names and imports as they are today, `sampling` makes the layers that
draw noise, `vae` the model whose compute_loss has the script's own lines. `check` runs the result
for a few steps and compares its loss with the original's `formula`.
"""

from kelbo.port.check import Checked, check
from kelbo.port.formula import Formula
from kelbo.port.ported import Ported, port
from kelbo.port.script import Left

__all__ = ["Checked", "Formula", "Left", "Ported", "check", "port"]
