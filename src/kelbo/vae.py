"""The variational autoencoder: one group of latent variables."""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.bounds import importance_weighted_bound
from kelbo.errors import DataError, UsageError
from kelbo.inputs import as_numpy, check_shape, select
from kelbo.likelihoods import Likelihood
from kelbo.memory import check_memory
from kelbo.objectives import ELBO, Objective
from kelbo.posteriors import Posterior
from kelbo.priors import Prior, StandardNormalPrior
from kelbo.seeds import folded
from kelbo.single_group import SingleGroup


@keras.saving.register_keras_serializable("kelbo")
class VAE(SingleGroup):
    """A variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014).

        log p(x) >= E_q [ log p(x|z) + log p(z) - log q(z|x) ]

    Every term is an argument. It is a keras.Model: compile, fit, evaluate, predict, save,
    keras.saving.load_model, callbacks and summary work as on any other. All terms are in nats.

    Args:
        posterior: q(z|x), as `GaussianPosterior(encoder_network, latent_dim=16)`.
        likelihood: p(x|z), as `BernoulliLikelihood(decoder_network)`.
        prior: p(z); N(0, I) where None.
        objective: what is minimised; minus the ELBO where None.
        seed: of the noise; None takes Keras's global seed.

    Raises:
        UsageError: the shapes of the parts do not fit together.
    """

    prior: Prior

    def __init__(
        self,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior | None = None,
        objective: Objective | None = None,
        seed: int | None = None,
        name: str = "vae",
        **kwargs: Any,
    ):
        super().__init__(
            posterior,
            likelihood,
            StandardNormalPrior(name="prior") if prior is None else prior,
            ELBO() if objective is None else objective,
            seed,
            name=name,
            **kwargs,
        )

    def sample(
        self,
        n: int,
        seed: int | None = None,
        batch_size: int | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Draw z from the prior and decode it: the expected x for each z, (n, *data_shape).

        Args:
            n: how many.
            seed: of the draw; None draws afresh at every call.
            batch_size: how many are decoded at once, which bounds the memory and changes no
                sample; None: as many as suit the device.
            context: the conditions of a conditional model by name, (n, *shape) each.
            on_progress: called now and then with the number of samples that are decoded.

        Raises:
            UsageError: n < 1, or more than the memory of the machine holds.
            DataError: conditions are missing, or of another shape.
        """
        if not isinstance(n, Integral) or n < 1:
            raise UsageError(f"Expected to sample a whole number of at least 1, received n={n!r}.")
        float32 = 4
        check_memory(
            float32 * int(n) * (self.data_dim + self.latent_dim),
            f"{n:,} samples of shape {self.data_shape}",
            "Draw fewer at a time, each time with another seed.",
        )
        context = self.check_context(n, {} if context is None else context)
        seed = self.seed_generator if seed is None else folded(seed)
        z = ops.convert_to_numpy(self.sample_prior((), n, seed, context))
        wanted = select(z, context, self.likelihood.context_shapes)
        return self.decode(wanted, batch_size, on_progress)

    def check_context(self, n: int, context: Any) -> dict[str, np.ndarray]:
        """The conditions of n data by name, as arrays.

        Raises:
            DataError: conditions are missing, or of another shape.
        """
        if not isinstance(context, Mapping):
            raise DataError(
                f"Expected the conditions by name, as context={{'c': c}}, received a "
                f"{type(context).__name__}."
            )
        if set(context) != set(self.context_shapes):
            expected = ", ".join(self.context_shapes) or "none"
            received = ", ".join(context) or "none"
            raise DataError(
                f"Expected the conditions {expected}, received {received}: sample(n, context="
                "{'c': c}) takes one row for each sample."
            )
        arrays = {name: as_numpy(value) for name, value in context.items()}
        for name, array in arrays.items():
            check_shape(array, self.context_shapes[name], name)
            if len(array) != n:
                raise DataError(f"Expected {n} rows of {name}, received {len(array)}.")
        return arrays

    def log_likelihood(
        self,
        x: Any,
        num_samples: int = 1000,
        batch_size: int = 100,
        seed: int = 0,
        rows_per_pass: int | None = None,
    ) -> np.ndarray:
        """Estimate log p(x) in nats for each datum: the importance-weighted bound, (n,).

        log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x) (Burda et al. 2016, equation 8).
        It is a lower bound in expectation and rises with K. Memory is bounded whatever K is.

        Args:
            x: (n, *data_shape), or {"x": x, "c": c} with conditions c.
            num_samples: K.
            batch_size: how many data at a time.
            seed: of the draws, which are a function of it and of the sizes.
            rows_per_pass: how many latent vectors are decoded at once, which bounds the memory;
                None: as many as suit the device.

        Raises:
            DataError: x is not an array of data.
            UsageError: a size is < 1, or the encoder is deterministic.
        """
        if not self.has_bound:
            raise UsageError(
                f"A {type(self.posterior).__name__} has no density q(z|x), so there is no bound on "
                "log p(x). Use kelbo.GaussianPosterior."
            )
        if isinstance(x, Mapping):
            x = {name: as_numpy(value) for name, value in x.items()}
        elif hasattr(x, "shape"):
            x = as_numpy(x)
        else:
            raise DataError(f"Expected an array of data, received {type(x).__name__}.")
        self.check_data(x)
        return importance_weighted_bound(self, x, num_samples, batch_size, seed, rows_per_pass)
