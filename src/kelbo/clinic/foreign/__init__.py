"""Any VAE's .keras file -> its encoder and decoder, without the code of its classes.

The file has the layers of each network, their connections and their weights. It lacks the code of
classes that are not Keras's own, such as a Sampling layer or the class of the model. As long as
such a layer comes after mu and log_var, q(z|x) and p(x|z) are known without it. So it is left out,
and none of its code is ever imported or run.
"""

from kelbo.clinic.foreign.read import read_model

__all__ = ["read_model"]
