"""A model with one group of latents: x -> q(z|x) -> z -> p(x|z)."""

import contextlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.backends.jax.shared_batches import SharedBatches
from kelbo.backends.tensorflow.replicas import one_pass, total_over_replicas
from kelbo.backends.tensorflow.untuned import UntunedData
from kelbo.checked import Checking
from kelbo.distributions import (
    Factorised,
    has_closed_form,
    has_kl_per_dimension,
    kl_divergence,
    kl_per_dimension,
)
from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.errors import UsageError
from kelbo.inputs import as_numpy, check_shape, joined, select, split
from kelbo.kinds import check_kind
from kelbo.likelihoods import Likelihood
from kelbo.model import LatentVariableModel
from kelbo.objectives import Objective
from kelbo.passes import predict_in_passes
from kelbo.posteriors import DeterministicPosterior, Posterior
from kelbo.priors import Prior
from kelbo.trace import Group, Parts, Trace, log_prob_of_observed


class SingleGroup(LatentVariableModel):
    """q(z|x), p(x|z) and perhaps p(z), joined by an objective; each may depend on conditions c.

    Args:
        posterior: q(z|x).
        likelihood: p(x|z).
        prior: p(z), or None for an autoencoder.
        objective: what is minimised.
        seed: of the noise in training and evaluation; None takes Keras's global seed.

    Raises:
        UsageError: the shapes of the parts do not fit together, or a dtype other than float32 is
            asked for.
    """

    posterior: Posterior
    prior: Prior | None

    def __init__(
        self,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior | None,
        objective: Objective,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_kind(posterior, Posterior)
        check_kind(likelihood, Likelihood)
        _check_shapes(posterior, likelihood)
        parts: dict[str, keras.Layer] = {"posterior": posterior, "likelihood": likelihood}
        if prior is not None:
            check_kind(prior, Prior)
            prior.join(posterior, likelihood)
            if not prior.built:
                prior.build(posterior.event_shape)
            parts["prior"] = prior
        super().__init__(parts, objective, seed, **kwargs)
        if prior is None:
            self.prior = None  # else a part

    def check_parts(self, objective: Objective) -> None:
        """Refuse an objective that does not go with the parts of this model.

        Raises:
            UsageError: with the reason.
        """
        objective.check(self.posterior, self.likelihood, getattr(self, "prior", None))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one z."""
        return self.posterior.event_shape

    @property
    def has_prior(self) -> bool:
        """Whether z has a prior, to sample from; not so of an autoencoder."""
        return self.prior is not None

    @property
    def has_bound(self) -> bool:
        """Whether z has a prior and q(z|x) a density, as a deterministic code has not."""
        return self.has_prior and not isinstance(self.posterior, DeterministicPosterior)

    @property
    def context_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each condition by name; empty where no part has one."""
        shapes: dict[str, tuple[int, ...]] = {}
        for part, own in ((self.posterior, "x"), (self.likelihood, "z")):
            if len(part.context_shapes) > 1:
                shapes |= {name: s for name, s in part.context_shapes.items() if name != own}
        return shapes | ({} if self.prior is None else self.prior.context_shapes)

    def check_target(self, x: np.ndarray, inputs: Any = None) -> None:
        """Check an array of data x; what the encoder masks may lie outside the support.

        Args:
            x: the data that p(x|z) is asked for.
            inputs: what the encoder is shown beside them; x itself where None.

        Raises:
            DataError: as `check_data`.
        """
        check_shape(x, self.data_shape)
        observed = self.posterior.observed(x if inputs is None else split(inputs)[0])
        self.likelihood.check(x, None if observed is None else ops.convert_to_numpy(observed))

    # The pass through the model.

    def encode_once(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """The parameters of q(z|x) and of p(z), and which values of x count.

        Returns:
            {"posterior": ..., "prior": ..., "observed": bool (batch, ...)}; the latter two only
            where the model has them.
        """
        x, context = split(inputs)
        encoded = {"posterior": self._posterior_parameters(x, context, training)}
        observed = self.posterior.observed(x)
        if observed is not None:
            encoded["observed"] = observed
        if self.prior is not None:
            encoded["prior"] = self._prior_parameters(context, training)
        return encoded

    def _posterior_parameters(
        self, x: Tensor, context: dict[str, Tensor], training: bool | None
    ) -> dict[str, Tensor]:
        return self.posterior(select(x, context, self.posterior.context_shapes), training=training)

    def _prior_parameters(
        self, context: dict[str, Tensor], training: bool | None
    ) -> dict[str, Tensor]:
        if self.prior is None:
            return {}

        def posterior(x: Tensor) -> Distribution:
            return self.posterior.distribution(self._posterior_parameters(x, context, training))

        # Not through Keras's __call__, which knows nothing of an argument that is a function.
        return self.prior.call(context, posterior=posterior, training=training)

    def draw(
        self,
        inputs: Any,
        encoded: dict[str, Any],
        sample_shape: tuple[int, ...],
        seed: Any,
        training: bool | None = None,
    ) -> dict[str, Any]:
        """Draw z from q(z|x) and decode it.

        Returns:
            `encoded` and {"z": (S..., batch, *latent_shape), "likelihood": parameters of p(x|z)},
            and "log_q", (S..., batch), where q(z|x) is known best while z is drawn.
        """
        _, context = split(inputs)
        q = self.posterior.distribution(encoded["posterior"])
        drawn: dict[str, Tensor] = {}
        if not self.has_bound or isinstance(q, Factorised):
            z = q.sample(seed, sample_shape)
        else:  # for a flow log q(z) alone would need the inverse
            z, drawn["log_q"] = q.sample_and_log_prob(seed, sample_shape)
        return {**encoded, **drawn, **self._decoded(z, context, training)}

    def _decoded(
        self, z: Tensor, context: dict[str, Tensor], training: bool | None
    ) -> dict[str, Any]:
        wanted = select(z, context, self.likelihood.context_shapes)
        return {"z": z, "likelihood": self.likelihood(wanted, training=training)}

    def trace(self, inputs: Any, passed: dict[str, Any] | None = None) -> Trace:
        """Every log-probability of the equation; the trace has one group.

        Args:
            inputs: x, (batch, *data_shape), or {"x": x, "c": c} with conditions c.
            passed: what `call` returned; without it one pass is made.
        """
        passed = self(inputs, training=False) if passed is None else passed
        x, context = split(inputs)
        px_z = self.likelihood.distribution(passed["likelihood"])
        observed = _as_wide_as(x, passed.get("observed"))
        return Trace(
            groups=(self._group(passed),),
            log_px_z=log_prob_of_observed(px_z, x, observed, self.likelihood.inside),
            px_z=px_z,
            x=x,
            sizes=self.sizes,
            context=context,
            step=self._step,
            observed=observed,
            parts=self._as_parts(context, passed["likelihood"]),
        )

    def fitted(self, inputs: Any, passed: dict[str, Any]) -> dict[str, Any]:
        """`passed`, with what the likelihood computes of the batch; see `Likelihood.fitted`."""
        x, _ = split(inputs)
        observed = _as_wide_as(x, passed.get("observed"))
        likelihood = self.likelihood.fitted(passed["likelihood"], x, observed, total_over_replicas)
        return {**passed, "likelihood": likelihood}

    def trace_at(self, inputs: Any, encoded: dict[str, Any], z: Tensor) -> Trace:
        """The trace at a z of the caller's, in place of a draw.

        Args:
            inputs: as those of `trace`.
            encoded: what `encode_once` returned.
            z: (S..., batch, *latent_shape).
        """
        _, context = split(inputs)
        return self.trace(inputs, {**encoded, **self._decoded(z, context, training=False)})

    def px_z(self, z: Tensor, context: dict[str, Any], training: bool = False) -> Distribution:
        """p(x|z) at a z of the caller's, (S..., batch, *latent_shape).

        Args:
            z: a latent vector for each datum.
            context: the conditions by name, (batch, *shape) each.
            training: handed on to the network.
        """
        return self.likelihood.distribution(self._decoded(z, context, training)["likelihood"])

    def prior_of(self, context: dict[str, Any]) -> Distribution:
        """p(z), or p(z|c).

        Args:
            context: the conditions by name, (batch, *shape) each; those of other parts are left.

        Raises:
            UsageError: the model is an autoencoder.
        """
        if self.prior is None:
            raise UsageError("An autoencoder has no prior.")
        own = {name: context[name] for name in self.prior.context_shapes}
        return self.prior.distribution(self._prior_parameters(own, training=False))

    def sample_prior(
        self, sample_shape: tuple[int, ...], count: int, seed: Any, context: dict[str, Any]
    ) -> Tensor:
        """Draw z from the prior: (*sample_shape, count, *latent_shape).

        Args:
            sample_shape: the sample axes.
            count: the size of the batch.
            seed: of the draw.
            context: the conditions by name, (count, *shape) each; those of other parts are left.
        """
        p = self.prior_of(context)
        # Its parameters have the batch axis of its conditions, and without them none.
        conditional = self.prior is not None and self.prior.context_shapes
        return p.sample(seed, sample_shape if conditional else (*sample_shape, count))

    def _as_parts(self, context: dict[str, Tensor], likelihood: dict[str, Tensor]) -> Parts:
        """The encoder and the decoder, for objectives that run them again.

        Args:
            context: the conditions by name.
            likelihood: the parameters of p(x|z) in the trace, with what `fitted` put to them.
        """

        def encode(x: Tensor, training: bool) -> Distribution:
            return self.posterior.distribution(self._posterior_parameters(x, context, training))

        def decode(z: Tensor, training: bool) -> Distribution:
            decoded = self._decoded(z, context, training)["likelihood"]
            return self.likelihood.distribution({**likelihood, **decoded})

        return Parts(encode, decode, self.likelihood, self.seed_generator)

    def code_statistics(self, encoded: dict[str, Any]) -> dict[str, Tensor]:
        """The mean of q(z|x) and the KL, of each dimension if it can be, in closed form."""
        q = self.posterior.distribution(encoded["posterior"])
        found: dict[str, Tensor] = {}
        with contextlib.suppress(UsageError):  # a flow has no mean in closed form
            # On a sphere no dimension is active or inactive by itself.
            found |= {} if self.posterior.on_sphere else {"mean": q.mean()}
        if self.prior is not None:
            p = self.prior.distribution(encoded["prior"])
            if has_kl_per_dimension(q, p):
                found["kl_per_dimension"] = kl_per_dimension(q, p)
            elif has_closed_form(q, p):
                return {**self._in_rows(found), "kl": kl_divergence(q, p)}
        return self._in_rows(found)

    def _in_rows(self, found: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: ops.reshape(value, (-1, self.latent_dim)) for name, value in found.items()}

    def _group(self, passed: dict[str, Any]) -> Group:
        q = self.posterior.distribution(passed["posterior"])
        p = None if self.prior is None else self.prior.distribution(passed["prior"])
        return Group(passed["z"], q, p, passed.get("log_q"))

    # Plain keras models of the parts, and arrays through them.

    @cached_property
    def encoder(self) -> keras.Model:
        """x to a random draw of z: a plain keras model whose last layer is `enc_out_z`.

        Each call gives another z, in the order that the model's seed decides. To deploy, take
        `deterministic_encoder()`.
        """
        return self.posterior.encoder(self.seed)

    def deterministic_encoder(self) -> keras.Model:
        """x to the parameters of q(z|x) by name, such as mu and log_var: a plain keras model.

        It shares every layer with this model, and is the one to export and to deploy.
        """
        # No property: Keras would look for the weights of a file by its name.
        return self.posterior.deterministic_encoder()

    @cached_property
    def _inputs(self) -> Any:
        """Symbolic inputs as `call` takes them."""
        known = [*self.posterior.network.inputs, *self.likelihood.network.inputs]
        dtypes = {each.name: each.dtype for each in reversed(known)}
        dtypes["x"] = self.posterior.network.inputs[0].dtype
        x, *conditions = (
            keras.Input(shape, dtype=dtypes.get(name), name=name)
            for name, shape in {"x": self.data_shape, **self.context_shapes}.items()
        )
        return joined(x, {each.name: each for each in conditions})

    @cached_property
    def _parameters_of_q(self) -> keras.Model:
        x, context = split(self._inputs)
        parameters = self._posterior_parameters(x, context, training=False)
        return _Plain(self._inputs, parameters, name="parameters_of_q")

    @cached_property
    def _mean_of_q(self) -> keras.Model:
        return self._point_of_q("mean")

    @cached_property
    def _code_of_q(self) -> keras.Model:
        return self._point_of_q("code")

    def _point_of_q(self, point: str) -> keras.Model:
        points = _Point(self.posterior, point)(self._parameters_of_q.output)
        return _Plain(self._inputs, points, name=f"{point}_of_q")

    @cached_property
    def _reconstruction(self) -> keras.Model:
        _, context = split(self._inputs)
        z = select(self._code_of_q.output, context, self.likelihood.context_shapes)
        return _Plain(self._inputs, self.decoder(z), name="reconstruction")

    def encode(self, x: Any, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """The parameters of q(z|x), such as {"mu": (n, latent_dim), "log_var": (n, latent_dim)}."""
        return self._predict(self._parameters_of_q, x, batch_size)

    def posterior_mean(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """The mean of q(z|x): (n, *latent_shape).

        Raises:
            UsageError: it has no closed form, as that of a planar flow; see `codes`.
        """
        return self._predict(self._mean_of_q, x, batch_size)

    def codes(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """The point that stands for q(z|x), which `reconstruct` decodes: (n, *latent_shape).

        It is the mean of q(z|x), but where a flow carries the mean of its base if that is not the
        mean, and the mean direction on the sphere.
        """
        return self._predict(self._code_of_q, x, batch_size)

    def reconstruct(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """The expected x at each datum's code, without noise: (n, *data_shape); see `codes`."""
        return self._predict(self._reconstruction, x, batch_size)

    def _predict(self, network: keras.Model, x: Any, batch_size: int | None) -> Any:
        self.check_data(x)
        if isinstance(x, Mapping):
            x = {name: as_numpy(value) for name, value in x.items()}
        elif hasattr(x, "shape"):
            x = as_numpy(x)
        with Checking(self.check_data) as checking:
            return predict_in_passes(network, checking.data(x), batch_size, self.data_dim)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Reconstructions, as `reconstruct`, with the arguments of `keras.Model.predict`."""
        self.check_data(x)
        with Checking(self.check_data) as checking:
            return self._reconstruction.predict(checking.data(x), *args, **kwargs)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Reconstructions of one batch."""
        self.check_data(x)
        return one_pass(self._reconstruction).predict_on_batch(x)


def _as_wide_as(x: Tensor, observed: Tensor | None) -> Tensor | None:
    """Which values are observed, with the axes of x; None where all are."""
    while observed is not None and len(observed.shape) < len(x.shape):
        observed = ops.expand_dims(observed, -1)
    return observed


class _Plain(UntunedData, SharedBatches, keras.Model):
    """A model that Keras makes a functional one, with what kelbo adds to the backends' loops."""


class _Point(keras.Layer):
    """A point of q(z|x), its "mean" or its "code", from its parameters."""

    def __init__(self, posterior: Posterior, point: str):
        super().__init__(dtype="float32", name=f"posterior_{point}")
        self.point = point
        # All of it, for a flow has weights of its own, which JAX must be told of.
        self.posterior = posterior

    def call(self, parameters: dict[str, Tensor]) -> Tensor:
        return getattr(self.posterior.distribution(parameters), self.point)()

    def compute_output_shape(self, parameters_shape: Any) -> tuple:
        return (None, *self.posterior.event_shape)


def _check_shapes(posterior: Posterior, likelihood: Likelihood) -> None:
    for part, own in ((posterior, "x"), (likelihood, "z")):
        names = list(part.context_shapes)
        if len(names) > 1 and own not in names:
            raise UsageError(
                f"The network of {type(part).__name__} has the inputs {', '.join(names)}. With "
                f"conditions the input for {own} must be called so: keras.Input(..., name={own!r})."
            )
    data_shape = posterior.context_shapes.get("x", posterior.context_shape)
    if likelihood.event_shape != data_shape:
        raise UsageError(
            f"The encoder takes data of shape {data_shape}, but the decoder gives data of shape "
            f"{likelihood.event_shape}. They must be the same."
        )
    z_shape = likelihood.context_shapes.get("z", likelihood.context_shape)
    if z_shape != posterior.event_shape:
        raise UsageError(
            f"The encoder gives z of shape {posterior.event_shape}, but the decoder takes z of "
            f"shape {z_shape}. They must be the same."
        )
