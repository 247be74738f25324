"""Family E: posterior collapse, as far as a log shows it.

Only one symptom can be recognised in a text with certainty: a KL term of practically nothing. A KL
term weighted by the smallest constants of the books is about 1e-4 for a healthy model, so the bound
is far below. No message says that every image comes out the same, or that means and sums are mixed.
"""

import math
import re
from collections.abc import Mapping

from kelbo.clinic.explain.explanation import Explanation, Symptom

_KL = re.compile(r"kl|kld|kl_?(loss|div|divergence|term)")
_NOTHING = 1e-6


def _collapsed(figures: Mapping[str, float]) -> bool:
    # A loss that is 0 itself, or NaN, has another cause.
    loss = figures.get("loss", 1.0)
    return (loss != 0.0 and math.isfinite(loss)) and any(
        _KL.fullmatch(name.lower()) and abs(value) < _NOTHING for name, value in figures.items()
    )


COLLAPSE = (
    Explanation(
        name="kl-collapsed",
        family="E",
        title="The KL term is practically 0: the posterior has collapsed",
        symptom=Symptom(
            "200/200 - 1s - loss: 55.2317 - kl_loss: 4.2e-07",
            "the figure of WorldModels 12",
        ),
        figures=_collapsed,
        happens=(
            "The encoder gives N(0, 1) for every image, z carries nothing, and the decoder makes "
            "the same mean image for all of them. (If the KL term has a weight that grows and is "
            "still 0, or if the figure is multiplied by such a weight, wait.)"
        ),
        why=(
            "The KL term weighs too much against the reconstruction. The usual cause is a "
            "reconstruction averaged over pixels beside a KL summed over latent dimensions: the "
            "effective beta is then the number of pixels."
        ),
        rule="Reduce both terms alike: sum over pixels, sum over latents, average over the batch.",
        repair=(
            "Multiply the averaged reconstruction by the number of pixels. If it is summed "
            "already, let the weight of the KL term grow from 0 over the first epochs."
        ),
        broken="""\
reconstruction = keras.losses.binary_crossentropy(x, x_decoded)  # a mean
kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
kl = -0.5 * ops.sum(kl, axis=-1)  # a sum""",
        repaired="""\
pixels = 28 * 28  # x is flat: (batch, 784)
reconstruction = pixels * keras.losses.binary_crossentropy(x, x_decoded)
kl = 1 + log_var - ops.square(mu) - ops.exp(log_var)
kl = -0.5 * ops.sum(kl, axis=-1)""",
        sources=("WorldModels 12", "tensorflow 32127", "keras 3383", "keras 6015"),
    ),
)
