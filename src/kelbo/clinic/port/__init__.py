"""Ports a VAE script of the books to Keras 3 on all three backends.

`script` holds what the doctor read in it and the planned `edits`, which keep comments and
formatting. `spelling` gives names and imports their present form; `options`, `optimizers`,
`training` and `weights` do so for the options of layers, for optimizers, for compile and fit, and
for files of weights. `tapes` marks what trains on TensorFlow alone, and `sampling` makes the layers
that draw noise. In the recipes of `added_loss`, `loss_layer` and `loss_closure` the loss reads
tensors of the functional graph. In the port a `model` hands them over: its outputs are the
reconstruction and whatever else the loss needs, and its compute_loss gets their values for this
batch and computes the loss with the script's own lines. `train_step` does the same for a model
whose train_step has a tape. `check` runs the result for a few steps and compares its loss with the
original's `formula`. A `notebook` is ported as the script that its `cells` make.
"""

from kelbo.clinic.port.check import Checked, check
from kelbo.clinic.port.formula import Formula
from kelbo.clinic.port.notebook import port_notebook
from kelbo.clinic.port.ported import Ported, Rewritten, port
from kelbo.clinic.port.script import Left

__all__ = [
    "Checked",
    "Formula",
    "Left",
    "Ported",
    "Rewritten",
    "check",
    "port",
    "port_notebook",
]
