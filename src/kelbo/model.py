"""The keras.Model with every Keras hook, written once."""

import abc
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from kelbo.backends.jax.one_call import OneCall
from kelbo.backends.jax.resident import resident_epochs
from kelbo.backends.jax.scan import forget
from kelbo.backends.jax.shared_batches import SharedBatches
from kelbo.backends.tensorflow.replicas import Replicas, SeedOfReplica, share_of_loss
from kelbo.callbacks import StopOnNonFinite, with_callback
from kelbo.checked_model import CheckedModel
from kelbo.conditional import Conditional, float32_layer
from kelbo.data.at_hand import Source
from kelbo.distributions.distribution import Tensor
from kelbo.errors import DataError, UsageError
from kelbo.inputs import as_numpy, check_shape, check_target_shape, is_at_hand, joined, split
from kelbo.kinds import whole
from kelbo.likelihoods import Likelihood
from kelbo.objectives import Objective
from kelbo.passes import predict_in_passes
from kelbo.saved_model import SavedModel
from kelbo.seeds import folded
from kelbo.trace import Sizes, Trace
from kelbo.with_objective import PENALTY, WithObjective, training_count


class LatentVariableModel(
    WithObjective, CheckedModel, SavedModel, Replicas, SharedBatches, OneCall, keras.Model, abc.ABC
):
    """p(x|z) and latents z, joined by an objective; what the latents are, subclasses say.

    The loss is computed in `compute_loss`, with keras.ops alone, from what `call` returns: this
    one hook works on every backend. Noise is drawn in `call`, where Keras keeps track of the
    random state on every backend; in `compute_loss` it would not on all. The networks may compute
    in bfloat16; the model's own arithmetic, its loss and its metrics are float32.

    What the networks add to the loss (regularisers, `add_loss` in a layer) is added to the
    objective's loss as it is, and reported as `penalty`. It is no part of the ELBO.

    Args:
        parts: the layers of the model by the names of their attributes, in the order in which
            their weights are saved; among them the likelihood. They are what `get_config` keeps.
        objective: what is minimised.
        seed: of the noise in training and evaluation; None takes Keras's global seed.

    Raises:
        UsageError: the objective is none, or a dtype other than float32 is asked for.
    """

    likelihood: Likelihood

    def __init__(
        self,
        parts: Mapping[str, keras.Layer],
        objective: Objective,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**float32_layer(type(self).__name__, kwargs))
        for name, part in parts.items():
            # With a layer left unbuilt Keras would trace the model anew in each `fit`.
            if isinstance(part, Conditional) and not part.built:
                part.build(part.context_shape)
            setattr(self, name, part)
        self._parts = tuple(parts)
        seed = None if seed is None else whole("seed", seed)
        self.objective = objective
        self.seed = seed
        self.seed_generator = SeedOfReplica(folded(seed))
        self._trackers: dict[str, keras.metrics.Mean] = {}
        self._has_penalty = False
        self._take_objective()
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_parts", ()):
            raise UsageError(
                f"A {type(self).__name__} keeps the {name} that it was made with, since what was "
                "compiled has it inside. Make another model of the parts that stay, which shares "
                f"their weights: {type(self).__name__}(..., {name}=...)."
            )
        if name == "objective":
            self._exchange_objective(value)
        super().__setattr__(name, value)

    # Shapes and sizes.

    @property
    def data_dim(self) -> int:
        """D: the number of values in one datum."""
        return math.prod(self.data_shape)

    @property
    @abc.abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one z; of the top group where there are several."""

    @property
    def latent_dim(self) -> int:
        """d: the number of values in z."""
        return math.prod(self.latent_shape)

    @property
    def has_prior(self) -> bool:
        """Whether z has a prior, to sample from; not so of an autoencoder."""
        return True

    @property
    def has_bound(self) -> bool:
        """Whether there is a bound on log p(x), which needs the densities p(z) and q(z|x)."""
        return self.has_prior

    @property
    def sizes(self) -> Sizes:
        """D and d."""
        return Sizes(self.data_dim, self.latent_dim)

    @property
    def precision(self) -> str:
        """What the networks compute in, such as "float32" or "bfloat16"; all else is float32."""
        layers = (each for each in self._flatten_layers() if hasattr(each, "compute_dtypes"))
        dtypes = set().union(*(layer.compute_dtypes for layer in layers))
        return " and ".join(sorted(dtypes)) or "float32"  # there may be no layer with weights

    # The pass through the model.

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """One pass, as tensors: what `trace` needs besides the data.

        Args:
            inputs: x, (batch, *data_shape), or {"x": x, "c": c} with conditions c.
            training: whether a training step is being taken, for schedules and for the networks.

        Returns:
            A nested dict of tensors. Reconstructions are what `predict` returns.
        """
        if training and self.objective.scheduled:
            self.training_steps.assign_add(1)
        if training:
            x, context = split(inputs)
            inputs = joined(self.objective.corrupted(x, self.seed_generator), context)
        encoded = self.encode_once(inputs, training)
        return self.draw(
            inputs, encoded, self.objective.sample_shape, self.seed_generator, training
        )

    @abc.abstractmethod
    def encode_once(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """What need not be computed again for each draw of z, as tensors, batch first.

        Args:
            inputs: as those of `call`.
            training: likewise.
        """

    @abc.abstractmethod
    def draw(
        self,
        inputs: Any,
        encoded: dict[str, Any],
        sample_shape: tuple[int, ...],
        seed: Any,
        training: bool | None = None,
    ) -> dict[str, Any]:
        """Draw z and decode it: `encoded`, and with it all that `trace` needs."""

    @abc.abstractmethod
    def trace(self, inputs: Any, passed: dict[str, Any] | None = None) -> Trace:
        """Every log-probability of the equation.

        Args:
            inputs: x, (batch, *data_shape), or {"x": x, "c": c} with conditions c.
            passed: what `call` returned; without it one pass is made.
        """

    def sampled_trace(
        self, inputs: Any, num_samples: int, seed: Any, encoded: dict[str, Any] | None = None
    ) -> Trace:
        """A trace with `num_samples` draws of z for each datum, on one leading sample axis.

        Args:
            inputs: as those of `trace`.
            num_samples: draws of z.
            seed: of the draws.
            encoded: what `encode_once` returned, where that is known.
        """
        encoded = self.encode_once(inputs, training=False) if encoded is None else encoded
        return self.trace(inputs, self.draw(inputs, encoded, (num_samples,), seed, training=False))

    def fitted(self, inputs: Any, passed: dict[str, Any]) -> dict[str, Any]:
        """What a training step computes of its batch in closed form, such as a variance.

        Args:
            inputs: as those of `trace`.
            passed: what `call` returned.

        Returns:
            `passed`, with that in the place of what evaluation uses.
        """
        return passed

    def code_statistics(self, encoded: dict[str, Any]) -> dict[str, Tensor]:
        """What is known of the codes without drawing one: see `kelbo.bounds`.

        Args:
            encoded: what `encode_once` returned.

        Returns:
            mean, that of q(z|x), and kl_per_dimension in nats, (batch, latent_dim) each, or kl,
            (batch,), of a KL that is no sum over dimensions; each only where it has a closed form.
        """
        return {}

    # Keras's hooks.

    def compile(
        self,
        optimizer: str | keras.Optimizer = "adam",
        loss: None = None,
        metrics: None = None,
        **kwargs: Any,
    ) -> None:
        """Set the optimiser; the loss is the model's objective.

        After another objective was set, `model.objective = ...`, compile again.

        Args:
            optimizer: a Keras optimiser or its name.
            loss: refused: it belongs to the model.
            metrics: refused, as are loss_weights and weighted_metrics: the objective's terms are
                reported.
            **kwargs: Keras's other options, such as `jit_compile` and `steps_per_execution`.

        Raises:
            UsageError: a loss or metrics are given.
        """
        refused = {"loss": loss, "metrics": metrics}
        refused |= {name: kwargs.pop(name, None) for name in ("loss_weights", "weighted_metrics")}
        for name, value in refused.items():
            if value is not None and value != []:
                raise UsageError(
                    f"compile() received {name}={value!r}, but the loss of a "
                    f"{type(self).__name__} is its objective. Choose it with "
                    f"{type(self).__name__}(..., objective=...) and call compile(optimizer)."
                )
        if not self.objective.built:  # one that was exchanged
            self.objective.build(self.data_shape, self.latent_shape)
        forget(self)
        self._take_objective()  # it may have been exchanged
        self.__dict__["_compiled_objective"] = self.objective, self.objective.get_config()
        super().compile(optimizer=optimizer, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Tensor | None = None,
        y_pred: dict[str, Any] | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """The objective's loss and the networks' penalty; every logged term goes to its metric.

        Args:
            x: (batch, *data_shape), or {"x": x, "c": c} with conditions c.
            y: what to reconstruct, of the shape of x; x itself where None. With another target
                than x the bound is on log p(y): a denoising VAE.
            y_pred: what `call` returned.
            sample_weight: (batch,) or (batch, 1). It weighs the loss and every term of a datum,
                and the sum is divided by the number of data, as Keras's own losses are. A loss of
                the whole batch it leaves alone.
            training: whether a training step is being taken: for objectives that run a part again,
                and for `fitted`, which is asked in one alone.

        Raises:
            DataError: y has not the shape of x, as labels have not.
        """
        data, context = split(x)
        target = data if y is None else y
        check_target_shape(type(self).__name__, target, self.data_shape)
        # Before the objective may run a part again, which would clear what that one added.
        added = list(self.losses)
        inputs = joined(target, context)
        if training and y_pred is not None:
            y_pred = self.fitted(inputs, y_pred)
        trace = replace(self.trace(inputs, y_pred), training=training)
        terms = self.objective.terms(trace)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
            terms = {k: term * weight if len(term.shape) else term for k, term in terms.items()}
        count = ops.shape(target)[0]
        for name in self.objective.logged:
            # A term of the whole batch counts for each of its data, as the loss does in Keras.
            self._trackers[name].update_state(
                terms[name], None if len(terms[name].shape) else count
            )
        if "loss" not in terms and "batch_loss" not in terms:
            raise UsageError(
                f"{type(self.objective).__name__}.terms() gave {', '.join(terms)}: expected "
                "'loss', (batch,), or 'batch_loss', a scalar, or both."
            )
        loss = terms.get("batch_loss", 0.0)
        if "loss" in terms:
            loss = loss + ops.mean(terms["loss"])
        return share_of_loss(loss + self._penalty(added, count) if added else loss, count)

    def _penalty(self, added: list[Tensor], count: Any) -> Tensor:
        """What the networks add to the loss, summed as Keras sums it."""
        self._has_penalty = True
        penalty = sum(ops.sum(ops.cast(each, "float32")) for each in added)
        self._trackers[PENALTY].update_state(penalty, count)
        return penalty

    def get_metrics_result(self) -> dict[str, Any]:
        """The loss and every logged term; the penalty where there is one."""
        results = super().get_metrics_result()
        return results if self._has_penalty else {k: results[k] for k in results if k != PENALTY}

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
        """Train, as `keras.Model.fit`, checking the data against the likelihood.

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
            **kwargs: Keras's other arguments, but for class_weight.

        Raises:
            DataError: the data are empty, not finite, of another shape, or outside the support.
            DivergedError: the loss became NaN or infinite.
            UsageError: the model is not compiled, or `resident` is True and cannot be, or
                class_weight is given.
        """
        if not self.compiled:
            raise UsageError("The model is not compiled. Call compile(optimizer='adam') first.")
        self.refuse_class_weight("fit", kwargs.get("class_weight"))
        if x is None:
            raise DataError("Expected data to learn from, received None. Call fit(x).")
        if isinstance(x, Source):
            kwargs.setdefault("shuffle", False)  # it has an order of its own
        y = _target(x, y, kwargs.get("sample_weight"))
        self.check_data(x, y, kwargs.get("sample_weight"))
        validation = keras.utils.unpack_x_y_sample_weight(kwargs.get("validation_data"))
        self.check_data(*validation)
        self.check_objective(training_count(x, kwargs.get("validation_split")))
        if validation[2] is not None:
            kwargs["validation_data"] = (validation[0], _target(*validation), validation[2])
        if verbose != 0:
            print(self.describe_training(), file=sys.stderr)
        callbacks = with_callback(callbacks, StopOnNonFinite())
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
        if x is None:
            raise DataError("Expected data to evaluate, received None. Call evaluate(x).")
        self.check_objective()
        y = _target(x, y, sample_weight)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    # Plain keras models of the parts, sharing every layer. A cached_property is stored past
    # Keras's tracking of attributes, so that no layer is saved or counted twice.

    @cached_property
    def decoder(self) -> keras.Model:
        """z to the expected x: a plain keras model."""
        return self.likelihood.decoder()

    def decode(
        self,
        z: Any,
        batch_size: int | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """The expected x for each z: (n, *latent_shape) -> (n, *data_shape).

        A conditional model takes {"z": z, "c": c} with the decoder's conditions c. `on_progress` is
        called now and then with the number of z that are decoded.
        """
        given = z if isinstance(z, Mapping) else {"z": z}
        shapes = self.likelihood.context_shapes
        names = list(shapes) if len(shapes) > 1 else ["z"]
        if set(given) != set(names):
            raise DataError(
                f"decode() expected {', '.join(names)}, received {', '.join(map(str, given))}. It "
                "takes z itself, such as the mu that encode gives, or a dict of z and the "
                "conditions by name."
            )
        arrays = {name: as_numpy(value).astype("float32") for name, value in given.items()}
        check_shape(arrays["z"], shapes.get("z", self.likelihood.context_shape), "z")
        rows = arrays if len(arrays) > 1 else arrays["z"]
        return predict_in_passes(self.decoder, rows, batch_size, self.data_dim, on_progress)


def _target(x: Any, y: Any, sample_weight: Any) -> Any:
    """The target: Keras drops sample weights that come without one, so x is then its own."""
    return split(x)[0] if y is None and sample_weight is not None and is_at_hand(x) else y
