"""Any VAE's .keras file -> its encoder and decoder, without the code of its classes.

The file says which layers its networks have and how they are joined, and it has their weights. What
it does not have is the code of classes that are not Keras's own, as a Sampling layer or the model's
own class. None of that is needed to know q(z|x) and p(x|z), as long as it stands behind mu and
log_var; so it is left out, and nothing of it is ever imported or run.
"""

from kelbo.clinic.foreign.read import read_model

__all__ = ["read_model"]
