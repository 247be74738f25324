"""The regularised autoencoder: a VAE whose noise is replaced by what it does to the decoder."""

from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.jacobian import check_rows_are_independent, squared_jacobian_norm
from kelbo.objectives.objective import check_no_prior, mean_over_samples
from kelbo.objectives.scheduled import Scheduled
from kelbo.objectives.weight import Weight, number_at
from kelbo.posteriors import DeterministicPosterior, Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace

REGULARISATIONS = ("l2", "gradient-penalty", "spectral-norm")


@keras.saving.register_keras_serializable("kelbo")
class RAE(Scheduled):
    """loss = -log p(x|z) + code_weight |z|^2 / 2 + weight R, with a deterministic code z.

    Ghosh et al., "From variational to deterministic autoencoders", 2020, equations 10 and 11. R
    keeps the decoder smooth:

    - "l2": the sum of the squares of all weights that p(x|z) learns. A loss of the whole batch.
    - "gradient-penalty": |d mean(x|z) / dz|^2, the squared Frobenius norm of the Jacobian,
      estimated without bias by one gradient for each datum, of the mean of p(x|z) times random
      signs (Hutchinson). The decoder runs once more in each step.
    - "spectral-norm": no term; each layer of the decoder with a kernel has to be in a
      keras.layers.SpectralNormalization.

    The first term is in nats; `code_norm` is |z|^2 / 2 and `smoothness` R. To draw samples, a
    distribution of the codes is fitted after training.

    Args:
        regularisation: one of these.
        code_weight: beta in the paper, a number >= 0, or a schedule.
        weight: lambda in the paper, likewise; unused with "spectral-norm".

    Raises:
        UsageError: an argument is none of these.
    """

    code_weight: Weight
    weight: Weight

    def __init__(
        self,
        regularisation: str = "l2",
        code_weight: Weight = 1e-4,
        weight: Weight = 1e-7,
        **kwargs: Any,
    ):
        super().__init__({"code_weight": code_weight, "weight": weight}, **kwargs)
        if regularisation not in REGULARISATIONS:
            names = ", ".join(map(repr, REGULARISATIONS))
            raise UsageError(
                f"Expected a regularisation among {names}, received {regularisation!r}."
            )
        self.regularisation = regularisation
        smoothness = () if regularisation == "spectral-norm" else ("smoothness",)
        self.logged = ("reconstruction", "code_norm", *smoothness, *self.scheduled_names)

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse an encoder with noise, and a decoder that the regularisation does not go with.

        Raises:
            UsageError: with the way out.
        """
        name = type(self).__name__
        if not isinstance(posterior, DeterministicPosterior):
            raise UsageError(
                f"{name} puts a penalty in the place of a VAE's noise, and a "
                f"{type(posterior).__name__} draws z at random. Use "
                "kelbo.AE(kelbo.DeterministicPosterior(...), likelihood, objective=kelbo.RAE())."
            )
        check_no_prior(name, prior)
        if self.regularisation == "gradient-penalty":
            check_rows_are_independent(name, likelihood)
        elif self.regularisation == "spectral-norm":
            _check_spectral_norm(likelihood)

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the logged terms, each (batch,); of "l2" the penalty is batch_loss, a scalar."""
        reconstruction = mean_over_samples(trace.log_px_z)
        z = ops.reshape(trace.z, (ops.shape(trace.z)[0], -1))
        norm = 0.5 * ops.sum(ops.square(z), axis=-1)
        loss = self.now("code_weight", trace.step) * norm - reconstruction
        terms = {"reconstruction": reconstruction, "code_norm": norm}
        terms |= self.scheduled_terms(trace.step)
        weight = self.now("weight", trace.step)
        if self.regularisation == "l2":
            squares = [ops.sum(ops.square(each)) for each in trace.decoder_weights]
            size = ops.cast(sum(squares), "float32")
            return {"loss": loss, "batch_loss": weight * size, "smoothness": size, **terms}
        if self.regularisation == "spectral-norm":
            return {"loss": loss, **terms}

        def mean(z: Tensor) -> Tensor:
            return trace.decode(z).mean()

        slope = squared_jacobian_norm(mean, trace.z, trace.seed)
        return {"loss": loss + weight * slope, "smoothness": slope, **terms}

    def effective_beta(self, sizes: Sizes, step: Any = None) -> None:
        """None: there is no KL."""
        return None

    def in_words(self) -> str:
        """What is regularised, and how much."""
        words = f"RAE with {number_at(self.code_weight):g} times the code's norm"
        if self.regularisation == "spectral-norm":
            return f"{words} and spectral normalisation"
        return f"{words} and {number_at(self.weight):g} times {self.regularisation}"

    def get_config(self) -> dict[str, Any]:
        """The weights and the regularisation."""
        return {**super().get_config(), "regularisation": self.regularisation}


def _check_spectral_norm(likelihood: Likelihood) -> None:
    wrapped = keras.layers.SpectralNormalization
    for layer in likelihood.network.layers:
        if any(weight.name == "kernel" for weight in layer.weights) and not isinstance(
            layer, wrapped
        ):
            raise UsageError(
                f"The layer {layer.name!r} of the decoder has no spectral normalisation. Wrap it: "
                "keras.layers.SpectralNormalization(layer), as each layer with a kernel."
            )
