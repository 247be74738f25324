"""The importance-weighted bounds: of K draws, of several times K, and between them and the ELBO."""

import abc
import math
from numbers import Integral
from typing import Any

import keras
from keras import ops

from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives.estimators import (
    check_gradient,
    check_path_gradient,
    log_weights_of_encoder,
    path_log_weights,
)
from kelbo.objectives.jacobian import check_rows_are_independent
from kelbo.objectives.objective import Objective, check_has_kl, elbo_terms
from kelbo.objectives.weight import check_weight
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Sizes, Trace

GRADIENTS = ("reparameterised", "stl", "dreg")


class ImportanceWeighted(Objective):
    """What the bounds made of log w = log p(x, z) - log q(z|x) of several draws have in common.

    A bound B(log w_1, .., log w_K) has the gradient sum_k s_k grad log w_k, with shares s_k that
    add up to 1. A subclass says what the bound is and what the shares are, and, where they differ,
    those that the encoder learns with.

    The gradient of a bound with respect to the encoder is one of these:

    - "reparameterised": the bound's own.
    - "stl": log q(z|x) with its parameters held fixed (Roeder, Wu and Duvenaud, "Sticking the
      landing", 2017, section 4). For more than one draw it is biased.
    - "dreg": without bias, and with a signal that grows with K where that of the first shrinks
      (Tucker et al., "Doubly reparameterized gradient estimators", 2019, equation 8). Each share
      s_k of the encoder becomes s_k^2.

    The work of the decoder and the memory of a training step are those of the ELBO for each draw;
    the encoder runs once for each datum. Where the encoder's shares are not the decoder's, as with
    "dreg", the draws are decoded twice in a training step.

    Args:
        sample_shape: the sample axes of z.
        gradient: "reparameterised", "stl" or "dreg".

    Raises:
        UsageError: `gradient` is none of these.
    """

    # Whether the encoder learns from other shares than the decoder, whatever the gradient.
    apart = False

    def __init__(self, sample_shape: tuple[int, ...], gradient: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.gradient = check_gradient(gradient, GRADIENTS)
        self.sample_shape = sample_shape

    def check(self, posterior: Posterior, likelihood: Likelihood, prior: Prior | None) -> None:
        """Refuse a model without weights w, and a q(z|x) that "stl" and "dreg" cannot hold fixed.

        Raises:
            UsageError: with the way out.
        """
        check_has_kl(type(self).__name__, posterior, prior)
        check_path_gradient(self.gradient, posterior, prior)
        if self._twice:
            check_rows_are_independent(type(self).__name__, likelihood)

    @abc.abstractmethod
    def bound(self, log_weights: Tensor) -> Tensor:
        """The bound on log p(x) that the decoder learns from: (S..., batch) -> (batch,), nats."""

    @abc.abstractmethod
    def shares(self, log_weights: Tensor) -> Tensor:
        """The derivative of the bound in each log w: (S..., batch), sums to 1 over S."""

    def doubly_reparameterised_shares(self, log_weights: Tensor) -> Tensor:
        """What takes the place of the shares in the encoder's gradient by "dreg"."""
        return ops.square(self.shares(log_weights))

    def encoder_shares(self, log_weights: Tensor) -> Tensor:
        """The weight of each draw's grad log w in the encoder's gradient: (S..., batch)."""
        if self.gradient == "dreg":
            return self.doubly_reparameterised_shares(log_weights)
        return self.shares(log_weights)

    @abc.abstractmethod
    def bounds(self, log_weights: Tensor) -> dict[str, Tensor]:
        """The bounds to log by their names, (batch,) each."""

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """Loss and the logged terms, each (batch,)."""
        path = self.gradient != "reparameterised"
        log_weights = path_log_weights(trace) if path else trace.log_weights
        loss = -self.bound(log_weights)
        if trace.training and self._twice:
            # The decoder learns from `loss` alone; this adds what the encoder misses in it.
            missing = self.encoder_shares(log_weights) - self.shares(log_weights)
            moved = ops.stop_gradient(missing) * log_weights_of_encoder(trace, path)
            added = -ops.sum(moved, axis=tuple(range(len(self.sample_shape))))
            # In a graph TensorFlow 2.21 may decode the second time with weights that this step has
            # updated already: its dependency optimiser drops the order of the two. So the decoder's
            # gradient is made to depend on what comes of it.
            fixed = ops.stop_gradient(added)
            loss = loss * ops.where(ops.isnan(fixed), fixed, 1.0) + added - fixed
        return {"loss": loss, **self.bounds(log_weights), **elbo_terms(trace)}

    @property
    def _twice(self) -> bool:
        """Whether the draws are decoded twice in a training step."""
        return self.apart or self.gradient == "dreg"

    def effective_beta(self, sizes: Sizes, step: Any = None) -> float:
        """1: the loss is minus a bound on log p(x), in which the prior counts in full.

        With more than one draw the bound has no KL term of its own to weigh.
        """
        return 1.0

    def get_config(self) -> dict[str, Any]:
        """The gradient and the layer's own settings."""
        return {**super().get_config(), "gradient": self.gradient}


@keras.saving.register_keras_serializable("kelbo")
class IWAE(ImportanceWeighted):
    """loss = -log (1/K) sum_k w_k, w_k = p(x, z_k) / q(z_k|x), z_k ~ q(z|x), in nats.

    Burda et al., "Importance weighted autoencoders", 2016, equation 8. The bound on log p(x) rises
    with K, and K = 1 is the ELBO. The gradient is the bound's own by default, by
    reparameterisation, the datum's samples weighted by w_k / sum w (equation 13);
    `ImportanceWeighted` has the others.

    `iwae` is the bound. `elbo` beside it is the ELBO of the same draws, E_q[log p(x|z)] averaged
    over them less `kl`. A weight has log q(z|x) - log p(z) of its own draw, whereas `kl` is in
    closed form where there is one; so at K = 1 `iwae` and `elbo` agree in expectation and not draw
    by draw.

    Args:
        num_samples: K.
        gradient: "reparameterised", "stl" or "dreg".

    Raises:
        UsageError: K is no whole number >= 1, or `gradient` is none of these.
    """

    logged = ("elbo", "iwae", "reconstruction", "kl")

    def __init__(self, num_samples: int, gradient: str = "reparameterised", **kwargs: Any):
        self.num_samples = check_samples("num_samples", num_samples)
        super().__init__((self.num_samples,), gradient, **kwargs)

    def bound(self, log_weights: Tensor) -> Tensor:
        """log (1/K) sum_k w_k, (batch,)."""
        return log_mean(log_weights, (0,))

    def shares(self, log_weights: Tensor) -> Tensor:
        """w_k / sum w, (K, batch)."""
        return normalised(log_weights, (0,))

    def bounds(self, log_weights: Tensor) -> dict[str, Tensor]:
        """The bound, as `iwae`."""
        return {"iwae": self.bound(log_weights)}

    def in_words(self) -> str:
        """Its name and K."""
        return f"importance-weighted bound with K = {self.num_samples}"

    def get_config(self) -> dict[str, Any]:
        """K and the layer's own settings."""
        return {**super().get_config(), "num_samples": self.num_samples}


@keras.saving.register_keras_serializable("kelbo")
class MIWAE(ImportanceWeighted):
    """loss = -(1/M) sum_m log (1/K) sum_k w_mk: the mean of M bounds of K draws each, in nats.

    Rainforth et al., "Tighter variational bounds are not necessarily better", 2018, equation 11. Of
    M K draws it makes a looser bound than one IWAE, whose encoder has a gradient with less noise.

    Args:
        num_averages: M.
        num_samples: K.
        gradient: see `ImportanceWeighted`.

    Raises:
        UsageError: M or K is no whole number >= 1, or `gradient` is unknown.
    """

    logged: tuple[str, ...] = ("elbo", "miwae", "reconstruction", "kl")

    def __init__(
        self,
        num_averages: int,
        num_samples: int,
        gradient: str = "reparameterised",
        **kwargs: Any,
    ):
        self.num_averages = check_samples("num_averages", num_averages)
        self.num_samples = check_samples("num_samples", num_samples)
        super().__init__((self.num_averages, self.num_samples), gradient, **kwargs)

    def bound(self, log_weights: Tensor) -> Tensor:
        """The mean over m of log (1/K) sum_k w_mk, (batch,)."""
        return ops.mean(log_mean(log_weights, (1,)), axis=0)

    def shares(self, log_weights: Tensor) -> Tensor:
        """w_mk / (M sum_k w_mk), (M, K, batch)."""
        return normalised(log_weights, (1,)) / self.num_averages

    def doubly_reparameterised_shares(self, log_weights: Tensor) -> Tensor:
        """(w_mk / sum_k w_mk)^2 / M: the mean over m of each bound's own."""
        return ops.square(normalised(log_weights, (1,))) / self.num_averages

    def bounds(self, log_weights: Tensor) -> dict[str, Tensor]:
        """The bound, as `miwae`."""
        return {"miwae": self.bound(log_weights)}

    def in_words(self) -> str:
        """Its name, M and K."""
        return f"mean of {self.num_averages} importance-weighted bounds with K = {self.num_samples}"

    def get_config(self) -> dict[str, Any]:
        """M, K and the layer's own settings."""
        numbers = {"num_averages": self.num_averages, "num_samples": self.num_samples}
        return {**super().get_config(), **numbers}


@keras.saving.register_keras_serializable("kelbo")
class PIWAE(MIWAE):
    """The encoder learns from MIWAE of M times K draws, the decoder from IWAE of all M K, in nats.

    Rainforth et al., "Tighter variational bounds are not necessarily better", 2018, section 5. The
    tighter bound serves the decoder; the encoder has a gradient with less noise. The loss that is
    reported is the decoder's, minus `iwae`. A prior with weights learns with the decoder. The draws
    are decoded twice in a training step.

    Args:
        num_averages: M.
        num_samples: K.
        gradient: of the encoder; see `ImportanceWeighted`.

    Raises:
        UsageError: M or K is no whole number >= 1, or `gradient` is unknown.
    """

    logged = ("elbo", "iwae", "miwae", "reconstruction", "kl")
    apart = True

    def bound(self, log_weights: Tensor) -> Tensor:
        """log (1/(M K)) sum_mk w_mk, (batch,)."""
        return log_mean(log_weights, (0, 1))

    def shares(self, log_weights: Tensor) -> Tensor:
        """w_mk / sum_mk w_mk, (M, K, batch)."""
        return normalised(log_weights, (0, 1))

    def encoder_shares(self, log_weights: Tensor) -> Tensor:
        """Those of MIWAE."""
        if self.gradient == "dreg":
            return self.doubly_reparameterised_shares(log_weights)
        return super().shares(log_weights)

    def bounds(self, log_weights: Tensor) -> dict[str, Tensor]:
        """`iwae`, which the decoder learns from, and `miwae`, which the encoder learns from."""
        return {"iwae": self.bound(log_weights), "miwae": super().bound(log_weights)}

    def in_words(self) -> str:
        """What each part learns from."""
        k = self.num_averages * self.num_samples
        encoder = super().in_words()
        return f"decoder by an importance-weighted bound with K = {k}, encoder by the {encoder}"


@keras.saving.register_keras_serializable("kelbo")
class CIWAE(ImportanceWeighted):
    """loss = -(share ELBO + (1 - share) IWAE_K), both of the same K draws, in nats.

    Rainforth et al., "Tighter variational bounds are not necessarily better", 2018, equation 12,
    where `share` is called beta. The ELBO in it is the mean of log w.

    Args:
        num_samples: K.
        share: of the ELBO, from 0 to 1.
        gradient: see `ImportanceWeighted`.

    Raises:
        UsageError: K is no whole number >= 1, `share` is no share, or `gradient` is unknown.
    """

    logged = ("elbo", "ciwae", "iwae", "reconstruction", "kl")

    def __init__(
        self,
        num_samples: int,
        share: float = 0.5,
        gradient: str = "reparameterised",
        **kwargs: Any,
    ):
        self.num_samples = check_samples("num_samples", num_samples)
        check_weight(share, "share")
        if share > 1.0:
            raise UsageError(f"Expected a share of the ELBO from 0 to 1, received {share!r}.")
        self.share = float(share)
        super().__init__((self.num_samples,), gradient, **kwargs)

    def bound(self, log_weights: Tensor) -> Tensor:
        """The convex combination, (batch,)."""
        return self._mixed(ops.mean(log_weights, axis=0), log_mean(log_weights, (0,)))

    def shares(self, log_weights: Tensor) -> Tensor:
        """share / K + (1 - share) w_k / sum w, (K, batch)."""
        return self._mixed(1.0 / self.num_samples, normalised(log_weights, (0,)))

    def doubly_reparameterised_shares(self, log_weights: Tensor) -> Tensor:
        """Of the ELBO 1 / K, of the other the square of its share."""
        return self._mixed(1.0 / self.num_samples, ops.square(normalised(log_weights, (0,))))

    def _mixed(self, elbo: Any, iwae: Tensor) -> Tensor:
        return self.share * elbo + (1.0 - self.share) * iwae

    def bounds(self, log_weights: Tensor) -> dict[str, Tensor]:
        """The combination, `ciwae`, and `iwae` in it."""
        return {"ciwae": self.bound(log_weights), "iwae": log_mean(log_weights, (0,))}

    def in_words(self) -> str:
        """What is combined."""
        return (
            f"{self.share:g} ELBO + {1.0 - self.share:g} importance-weighted bound with "
            f"K = {self.num_samples}"
        )

    def get_config(self) -> dict[str, Any]:
        """K, the share and the layer's own settings."""
        return {**super().get_config(), "num_samples": self.num_samples, "share": self.share}


def log_mean(log_weights: Tensor, axes: tuple[int, ...]) -> Tensor:
    """log of the mean of w over some sample axes, from log w."""
    count = math.prod(log_weights.shape[axis] for axis in axes)
    return ops.logsumexp(log_weights, axis=axes) - math.log(count)


def normalised(log_weights: Tensor, axes: tuple[int, ...]) -> Tensor:
    """w over its sum along some sample axes, from log w."""
    return ops.exp(log_weights - ops.logsumexp(log_weights, axis=axes, keepdims=True))


def check_samples(name: str, value: Any) -> int:
    """A number of draws.

    Raises:
        UsageError: it is no whole number >= 1.
    """
    if not isinstance(value, Integral) or value < 1:
        raise UsageError(
            "The importance-weighted bound expects a whole number of samples of at least 1, "
            f"received {name}={value!r}."
        )
    return int(value)
