"""The keras.Model with every Keras hook, written once."""

import math
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from kelbo.backends.jax.chunks import Chunks
from kelbo.backends.jax.resident import resident_epochs
from kelbo.backends.jax.scan import forget
from kelbo.backends.jax.shared_batches import SharedBatches
from kelbo.backends.tensorflow.replicas import Replicas, SeedOfReplica, one_pass, share_of_loss
from kelbo.backends.tensorflow.untuned import UntunedData
from kelbo.callbacks import StopOnNonFinite
from kelbo.conditional import float32_layer
from kelbo.distributions import has_closed_form, kl_divergence
from kelbo.distributions.distribution import Tensor
from kelbo.errors import DataError, UsageError
from kelbo.likelihoods import Likelihood
from kelbo.objectives import Objective, explain_beta, format_beta
from kelbo.passes import predict_in_passes
from kelbo.posteriors import Posterior
from kelbo.priors import Prior
from kelbo.trace import Trace


class LatentVariableModel(Replicas, SharedBatches, keras.Model):
    """q(z|x), p(x|z) and perhaps p(z), joined by an objective.

    The loss is computed in `compute_loss`, with keras.ops alone, from what `call` returns: this
    one hook works on every backend. Noise is drawn in `call`, where Keras keeps track of the
    random state on every backend; in `compute_loss` it would not on all. The networks may compute
    in bfloat16; the model's own arithmetic, its loss and its metrics are float32.

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

    def __init__(
        self,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior | None,
        objective: Objective,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**float32_layer(type(self).__name__, kwargs))
        _check_parts(posterior, likelihood, prior, objective)
        for part, shape in (
            (posterior, posterior.context_shape),
            (likelihood, likelihood.context_shape),
            (prior, posterior.event_shape),
        ):
            if part is not None and not part.built:
                part.build(shape)
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.objective = objective
        self.seed = seed
        self.seed_generator = SeedOfReplica(seed)
        self._trackers = {name: keras.metrics.Mean(name) for name in objective.logged}
        if objective.scheduled:
            self.training_steps = self.add_weight(
                shape=(), initializer="zeros", dtype="int32", trainable=False, name="training_steps"
            )
        self.built = True

    # Shapes.

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of one datum x."""
        return self.posterior.context_shape

    @property
    def data_dim(self) -> int:
        """D: the number of values in one datum."""
        return math.prod(self.data_shape)

    @property
    def latent_dim(self) -> int:
        """d: the size of z."""
        return math.prod(self.posterior.event_shape)

    @property
    def precision(self) -> str:
        """What the networks compute in, as "float32" or "bfloat16"; all else is float32."""
        dtypes = self.posterior.compute_dtypes | self.likelihood.compute_dtypes
        return " and ".join(sorted(dtypes)) or "float32"  # there may be no layer with weights

    @property
    def effective_beta(self) -> float | None:
        """The weight of the KL measured against the ELBO's, or None where there is no KL."""
        return self.objective.effective_beta(self)

    @property
    def current_beta(self) -> float | None:
        """The effective beta after the training steps taken so far: lower during a warm-up."""
        return self.objective.current_beta(self)

    # The pass through the model.

    def call(self, x: Tensor, training: bool | None = None) -> dict[str, Any]:
        """One pass, as tensors: what `trace` needs besides x.

        Args:
            x: (batch, *data_shape).
            training: whether a training step is being taken, for schedules and for the networks.

        Returns:
            {"posterior": parameters of q(z|x), "z": (S..., batch, latent_dim),
            "likelihood": parameters of p(x|z)}. Reconstructions are what `predict` returns.
        """
        if training and self.objective.scheduled:
            self.training_steps.assign_add(1)
        return self._draw(self.posterior(x), self.objective.sample_shape, self.seed_generator)

    def _draw(
        self, posterior: dict[str, Tensor], sample_shape: tuple[int, ...], seed: Any
    ) -> dict[str, Any]:
        z = self.posterior.distribution(posterior).sample(seed, sample_shape)
        return {"posterior": posterior, "z": z, "likelihood": self.likelihood(z)}

    def trace(self, x: Tensor, parameters: dict[str, Any] | None = None) -> Trace:
        """Every log-probability of the equation, for data x.

        Args:
            x: (batch, *data_shape).
            parameters: what `call` returned; without it one pass is made.
        """
        if parameters is None:
            parameters = self(x)
        z = parameters["z"]
        q = self.posterior.distribution(parameters["posterior"])
        log_px_z = self.likelihood.distribution(parameters["likelihood"]).log_prob(x)
        if self.prior is None:
            return Trace(z=z, q=q, log_px_z=log_px_z)
        p = self.prior.distribution(self.posterior)
        log_pz, log_qz_x = p.log_prob(z), q.log_prob(z)
        kl = kl_divergence(q, p) if has_closed_form(q, p) else log_qz_x - log_pz
        return Trace(z, q, log_px_z, p, log_pz, log_qz_x, kl)

    def sampled_trace(
        self, x: Tensor, num_samples: int, seed: Any, posterior: dict[str, Tensor] | None = None
    ) -> Trace:
        """A trace with `num_samples` draws of z for each datum, on one leading sample axis.

        Args:
            x: (batch, *data_shape).
            num_samples: draws of z.
            seed: of the draws.
            posterior: the parameters of q(z|x) where they are known; without them x is encoded.
        """
        posterior = self.posterior(x) if posterior is None else posterior
        return self.trace(x, self._draw(posterior, (num_samples,), seed))

    # Keras's hooks.

    def compile(
        self,
        optimizer: str | keras.Optimizer = "adam",
        loss: None = None,
        metrics: None = None,
        **kwargs: Any,
    ) -> None:
        """Set the optimiser; the loss is the model's objective.

        Args:
            optimizer: a Keras optimiser or its name.
            loss: refused: it belongs to the model.
            metrics: refused: the objective's terms are reported.
            **kwargs: Keras's other options, as `jit_compile` and `steps_per_execution`.

        Raises:
            UsageError: a loss or metrics are given.
        """
        for name, value in (("loss", loss), ("metrics", metrics)):
            if value is not None:
                raise UsageError(
                    f"compile() received {name}={value!r}, but the loss of a "
                    f"{type(self).__name__} is its objective. Choose it with "
                    f"{type(self).__name__}(..., objective=...) and call compile(optimizer)."
                )
        forget(self)
        super().compile(optimizer=optimizer, **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        """How the model was compiled, readable on every backend.

        On PyTorch Keras names its own subclass of the optimiser, which exists only there.
        """
        config = super().get_compile_config()
        if config and config["optimizer"]["module"].startswith("keras.src.backend."):
            config["optimizer"]["module"] = "keras.optimizers"
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as saved (Keras asks for this where `compile` is overridden)."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{key: value for key, value in config.items() if value is not None})
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor | None = None,
        y_pred: dict[str, Any] | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """The objective's loss, averaged over the batch; every logged term goes to its metric.

        Args:
            x: (batch, *data_shape).
            y: what to reconstruct, of the shape of x; x itself where None. With another target
                than x the bound is on log p(y): a denoising VAE.
            y_pred: what `call` returned.
            sample_weight: (batch,) or (batch, 1). It weighs the loss and every term of a datum,
                and all are divided by the number of data, as Keras's own losses are.
            training: unused; the loss is the same in training and evaluation.

        Raises:
            DataError: y has not the shape of x, as labels have not.
        """
        target = x if y is None else y
        self._check_target_shape(target)
        terms = self.objective.terms(self.trace(target, y_pred), self)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            terms = {k: term * weight if len(term.shape) else term for k, term in terms.items()}
        count = ops.shape(target)[0]
        for name in self.objective.logged:
            # A term of the whole batch counts for each of its data, as Keras has it with the loss.
            each = len(terms[name].shape)
            self._trackers[name].update_state(terms[name], None if each else count)
        return share_of_loss(ops.mean(terms["loss"]), count)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        *,
        resident: bool | str = "auto",
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train, as `keras.Model.fit`, after checking the data against the likelihood.

        Prints the effective beta and what it means, unless `verbose` is 0. Stops at the first
        batch whose loss is not finite.

        On JAX arrays can stay on the device for the whole training, and many steps are then
        compiled into one (a chunk: as many as `compile(steps_per_execution=...)` says, otherwise
        about a hundred). The result is the same to rounding. Callbacks hear of the last batch of
        a chunk. One with batch hooks that are content with that says `chunk_safe = True` in its
        class.

        Args:
            x: as in Keras, as are the arguments that are not listed.
            y: what to reconstruct; x itself where None.
            batch_size: as in Keras.
            epochs: as in Keras.
            verbose: as in Keras.
            callbacks: as in Keras.
            resident: "auto": the data stay on the device if it is an accelerator, they fit, and
                nothing forbids it; otherwise Keras's loop runs, and the logger "kelbo" has the
                reason as information. True: on any device, or an error that has the reason.
                False: Keras's loop.
            **kwargs: Keras's other arguments.

        Raises:
            DataError: the data are empty, not finite, of another shape, or outside the support.
            DivergedError: the loss became NaN or infinite.
            UsageError: the model is not compiled, or `resident` is True and cannot be.
        """
        if not self.compiled:
            raise UsageError("The model is not compiled. Call compile(optimizer='adam') first.")
        y = _target(x, y, kwargs.get("sample_weight"))
        self.check_data(x, y)
        validation = keras.utils.unpack_x_y_sample_weight(kwargs.get("validation_data"))
        self.check_data(*validation[:2])
        if validation[2] is not None:
            kwargs["validation_data"] = (validation[0], _target(*validation), validation[2])
        if verbose != 0:
            print(self.describe_training(), file=sys.stderr)
        callbacks = _with_callback(callbacks, StopOnNonFinite())
        arguments = {"x": x, "y": y, "batch_size": batch_size, "epochs": epochs}
        arguments |= {"verbose": verbose, "callbacks": callbacks, **kwargs}
        with resident_epochs(self, resident, arguments) as arguments:
            return super().fit(**arguments)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Loss and terms on data, as `keras.Model.evaluate`, after the same check as in `fit`.

        Raises:
            DataError: the data are empty, not finite, of another shape, or outside the support.
        """
        y = _target(x, y, sample_weight)
        if not isinstance(x, Chunks):  # of data that `fit` has checked
            self.check_data(x, y)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def describe_training(self) -> str:
        """One line: model, backend, precision, objective, effective beta and what that means."""
        line = f"kelbo: {type(self).__name__} on {keras.backend.backend()}"
        if self.precision != "float32":
            line += f" in {self.precision}"
        if objective := self.objective.in_words():
            line += f", {objective}"
        if self.effective_beta is None:
            return f"{line}, no KL term"
        line += f", effective beta {format_beta(self.effective_beta)}"
        if self.objective.scheduled:
            line += " at the end of its schedule"
        note = explain_beta(self.effective_beta)
        return f"{line} ({note})" if note else line

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Reconstructions, as `reconstruct`, with the arguments of `keras.Model.predict`."""
        self.check_data(x)
        return self._reconstruction.predict(x, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Reconstructions of one batch."""
        self.check_data(x)
        return one_pass(self._reconstruction).predict_on_batch(x)

    def check_data(self, x: Any, y: Any = None) -> None:
        """Check data before they are used: arrays whole, of a data set or loader the first batch.

        Args:
            x: what `fit` takes as x. A generator, which a look would use up, is passed over, as
                is None.
            y: the target, likewise.

        Raises:
            DataError: the data are empty, not finite, of another shape, or outside the support.
        """
        if hasattr(y, "shape"):
            self._check_target_shape(y)
            self.check_data(y)
        data = _first_batch(x)
        if data is None:
            return
        if data.size == 0:
            raise DataError("Expected at least one datum, received none.")
        if data.shape[1:] != self.data_shape:
            fits = math.prod(data.shape[1:]) == self.data_dim and data.ndim > 1
            cure = f" Use x.reshape{(-1, *self.data_shape)}." if fits else ""
            raise DataError(
                f"Expected data of shape (n, {', '.join(map(str, self.data_shape))}), received "
                f"{data.shape}.{cure}"
            )
        self.likelihood.check(data)

    def _check_target_shape(self, target: Any) -> None:
        shape = tuple(target.shape[1:])
        # In a tf.data pipeline a size may not be known before the data come.
        fits = len(shape) == len(self.data_shape) and all(
            found in (None, expected)
            for found, expected in zip(shape, self.data_shape, strict=True)
        )
        if not fits:
            raise DataError(
                f"Expected data of shape {self.data_shape} as target, received {shape}. A "
                f"{type(self).__name__} learns from x alone: call fit(x), or map labels away with "
                "dataset.map(lambda x, y: x)."
            )

    # Plain keras models of the parts, sharing every layer. A cached_property is stored past
    # Keras's tracking of attributes, so that no layer is saved or counted twice.

    @cached_property
    def encoder(self) -> keras.Model:
        """x to the sampled point z: a plain keras model whose last layer is `enc_out_z`."""
        return self.posterior.encoder()

    @cached_property
    def decoder(self) -> keras.Model:
        """z to the expected x: a plain keras model."""
        return self.likelihood.decoder()

    @cached_property
    def _parameters_of_q(self) -> keras.Model:
        inputs = self.posterior.network.inputs[0]
        return keras.Model(inputs, self.posterior(inputs))

    @cached_property
    def _reconstruction(self) -> keras.Model:
        mean = _PosteriorMean(self.posterior)
        return _Reconstruction(
            self.posterior.network.inputs[0],
            self.decoder(mean(self._parameters_of_q.output)),
            name="reconstruction",
        )

    def encode(self, x: Any, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """The parameters of q(z|x), as {"mu": (n, latent_dim), "log_var": (n, latent_dim)}."""
        self.check_data(x)
        return predict_in_passes(self._parameters_of_q, x, batch_size, self.data_dim)

    def decode(self, z: Any, batch_size: int | None = None) -> np.ndarray:
        """The expected x for each z: (n, latent_dim) -> (n, *data_shape)."""
        z = np.asarray(z, "float32")
        if z.shape[1:] != self.posterior.event_shape:
            raise DataError(f"Expected z of shape (n, {self.latent_dim}), received {z.shape}.")
        return predict_in_passes(self.decoder, z, batch_size, self.data_dim)

    def reconstruct(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """The expected x at the posterior's mean, without noise: (n, *data_shape)."""
        self.check_data(x)
        return predict_in_passes(self._reconstruction, x, batch_size, self.data_dim)

    # Saving.

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the whole model to a .keras file, as `keras.Model.save`."""
        if self.compiled and not self.optimizer.built:
            # Without its variables Keras would not find them when it loads the file.
            self.optimizer.build(self.trainable_variables)
        super().save(*args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Save the state of the noise too, which Keras leaves out, so that training goes on."""
        super().save_own_variables(store)
        store["noise"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Restore what `save_own_variables` saved."""
        self.seed_generator.state.assign(store["noise"])
        super().load_own_variables({key: store[key] for key in store.keys() if key != "noise"})

    def get_config(self) -> dict[str, Any]:
        """The parts."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "posterior": serialize(self.posterior),
            "likelihood": serialize(self.likelihood),
            "prior": serialize(self.prior),
            "objective": serialize(self.objective),
            "seed": self.seed,
            "trainable": self.trainable,
            "dtype": serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Rebuild from `get_config`."""
        config = dict(config)
        for part in ("posterior", "likelihood", "prior", "objective"):
            if part in config:
                config[part] = keras.saving.deserialize_keras_object(
                    config[part], custom_objects=custom_objects
                )
        return cls(**config)


def _target(x: Any, y: Any, sample_weight: Any) -> Any:
    """The target: Keras drops sample weights that come without one, so x is then its own."""
    return x if y is None and sample_weight is not None else y


def _first_batch(data: Any) -> np.ndarray | None:
    """The first batch of a data set or loader, an array as it is, None of a generator or None."""
    if isinstance(data, list):
        raise DataError("Expected an array or a data set, received a list. Use numpy.asarray.")
    if isinstance(data, keras.utils.PyDataset):
        data = data[0] if len(data) else np.empty(0)
    elif isinstance(data, Iterable) and not isinstance(data, (np.ndarray, tuple, Iterator)):
        # A tf.data.Dataset or a DataLoader; tensors can be iterated over too, but have a shape.
        data = data if hasattr(data, "shape") else next(iter(data), np.empty(0))
    if isinstance(data, (tuple, list)):
        data = data[0]
    if data is None or isinstance(data, Iterator):
        return None
    return ops.convert_to_numpy(data) if ops.is_tensor(data) else np.asarray(data)


class _Reconstruction(UntunedData, SharedBatches, keras.Model):
    """From x to the expected x; a class of its own, since Keras turns it into a functional one."""


class _PosteriorMean(keras.Layer):
    """The mean of q(z|x) from its parameters."""

    def __init__(self, posterior: Posterior):
        super().__init__(dtype="float32", name="posterior_mean")
        self.distribution = posterior.distribution
        self.event_shape = posterior.event_shape

    def call(self, parameters: dict[str, Tensor]) -> Tensor:
        return self.distribution(parameters).mean()

    def compute_output_shape(self, parameters_shape: Any) -> tuple:
        return (None, *self.event_shape)


def _with_callback(callbacks: Any, callback: keras.callbacks.Callback) -> Any:
    if callbacks is None:
        return [callback]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(known, type(callback)) for known in callbacks.callbacks):
            callbacks.callbacks.append(callback)
        return callbacks
    return [*callbacks, callback] if isinstance(callbacks, (list, tuple)) else [callbacks, callback]


def _check_parts(
    posterior: Posterior, likelihood: Likelihood, prior: Prior | None, objective: Objective
) -> None:
    for part, kind in (
        (posterior, Posterior),
        (likelihood, Likelihood),
        (objective, Objective),
        *(() if prior is None else ((prior, Prior),)),
    ):
        if not isinstance(part, kind):
            raise UsageError(f"Expected an instance of {kind.__name__}, received {part!r}.")
    if likelihood.event_shape != posterior.context_shape:
        raise UsageError(
            f"The encoder takes data of shape {posterior.context_shape}, but the decoder gives "
            f"data of shape {likelihood.event_shape}. They must be the same."
        )
    if likelihood.context_shape != posterior.event_shape:
        raise UsageError(
            f"The encoder gives z of shape {posterior.event_shape}, but the decoder takes z of "
            f"shape {likelihood.context_shape}. They must be the same."
        )
