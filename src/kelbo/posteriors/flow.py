"""A posterior made of a Gaussian and a flow."""

import math
from typing import Any, Self

import keras
from keras import layers, ops

from kelbo.distributions import Distribution, Normal, Transformed
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.flows import Flow, PlanarFlow
from kelbo.kinds import check_kind
from kelbo.posteriors.full_covariance import FullCovariancePosterior
from kelbo.posteriors.gaussian import GaussianPosterior
from kelbo.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable("kelbo")
class FlowSampling(layers.Layer):
    """Carries draws of the base through a flow.

    Takes [e, *parameters of the flow in the order of their names]; returns z, of the shape of e.
    """

    def __init__(self, flow: Flow, names: list[str], **kwargs: Any):
        super().__init__(**kwargs)
        self.flow = flow
        self.names = names

    def build(self, input_shape: Any = None) -> None:
        """The flow is built by its posterior."""
        self.built = True

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Z of each row."""
        e, *values = inputs
        parameters = dict(zip(self.names, values, strict=True))
        flat = ops.reshape(e, (-1, math.prod(e.shape[1:])))
        z, _ = self.flow.bijector(parameters).forward(flat)
        return ops.reshape(z, (-1, *e.shape[1:]))

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """That of e."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """The flow and the names of its parameters."""
        flow = keras.saving.serialize_keras_object(self.flow)
        return {**super().get_config(), "flow": flow, "names": self.names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        flow = keras.saving.deserialize_keras_object(config["flow"])
        return cls(**{**config, "flow": flow})


@keras.saving.register_keras_serializable("kelbo")
class FlowPosterior(Posterior):
    """q(z|x) of z = f(e), e drawn from a Gaussian posterior, f a flow.

    Rezende and Mohamed, "Variational inference with normalizing flows", 2015, section 3. A draw
    comes with its density; of another z it is known where the flow's inverse is a formula. The KL
    is estimated from the draws. The code that a reconstruction decodes is where f carries the mean
    of e: the mean of z for a Householder flow, and for the others a point near it, because that
    mean has no closed form.

    Args:
        base: a GaussianPosterior or a FullCovariancePosterior; the flow's own Dense layers go on
            all outputs of its network.
        flow: of `kelbo.flows`, such as PlanarFlow(8); 8 planar maps where None.

    Raises:
        UsageError: the base is no Gaussian posterior, or the flow no flow.
    """

    def __init__(self, base: Posterior, flow: Flow | None = None, **kwargs: Any):
        if not isinstance(base, (GaussianPosterior, FullCovariancePosterior)):
            raise UsageError(
                "A FlowPosterior expected a Gaussian posterior as its base, such as "
                f"kelbo.GaussianPosterior(encoder_network, latent_dim=16), received {base!r}."
            )
        flow = PlanarFlow() if flow is None else flow
        check_kind(flow, Flow)
        super().__init__(base.network, **kwargs)
        self.base = base
        self.flow = flow
        for name, units in flow.head_sizes(self.latent_dim).items():
            head = layers.Dense(units, dtype="float32", name=name, trainable=self.trainable)
            setattr(self, f"{name}_head", head)

    @property
    def has_log_prob(self) -> bool:  # type: ignore[override]
        """Whether the flow's inverse is a formula."""
        return self.flow.invertible

    @property
    def latent_dim(self) -> int:
        """The number of values in z."""
        return math.prod(self.event_shape)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """That of the base."""
        return self.base.event_shape

    def heads(self) -> list[layers.Layer]:
        """The base's and the flow's."""
        return [*self.base.heads(), *self._flow_heads()]

    def _flow_heads(self) -> list[layers.Layer]:
        """What each datum's flow is made by, in the order of the flow's `head_sizes`."""
        return [getattr(self, f"{name}_head") for name in self.flow.head_sizes(self.latent_dim)]

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of the base and of the flow."""
        if not self.base.built:
            self.base.build(input_shape)
        if not self.flow.built:
            self.flow.build(self.latent_dim, has_encoder=True)
        features = sum(math.prod(output.shape[1:]) for output in self.network.outputs)
        for head in self._flow_heads():
            head.build((None, features))
        super().build(input_shape)

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """Those of the base and those that the flow takes from the network, batch first."""
        vectors = [self.flatten(output) for output in outputs]
        features = vectors[0] if len(vectors) == 1 else ops.concatenate(vectors, axis=-1)
        of_flow = {head.name: head(features) for head in self._flow_heads()}
        return {**self.base.parameters(outputs), **of_flow}

    def distribution(self, parameters: dict[str, Tensor]) -> Transformed:
        """The base, carried through the flow."""
        base = _of_vectors(self.base.distribution(parameters), self.event_shape)
        return Transformed(base, self.flow.bijector(parameters), self.event_shape)

    def sampling(
        self,
        parameters: dict[str, keras.KerasTensor],
        seed: int | None = None,
        name: str = "enc_out_z",
    ) -> keras.KerasTensor:
        """A draw of the base, and behind it a `FlowSampling` layer."""
        names = [head.name for head in self._flow_heads()]
        of_base = {each: value for each, value in parameters.items() if each not in names}
        e = self.base.sampling(of_base, seed, f"{name}_base")
        layer = FlowSampling(self.flow, names, dtype="float32", name=name)
        return layer([e, *(parameters[each] for each in names)])

    def get_config(self) -> dict[str, Any]:
        """The base and the flow."""
        config = super().get_config()
        del config["network"]  # the base has it
        serialize = keras.saving.serialize_keras_object
        return {**config, "base": serialize(self.base), "flow": serialize(self.flow)}


def _of_vectors(q: Distribution, event_shape: tuple[int, ...]) -> Distribution:
    """The same distribution of z as vectors, (batch, d), whatever the shape of z."""
    if len(event_shape) == 1 or not isinstance(q, Normal):
        return q
    flat = (-1, math.prod(event_shape))
    return Normal(ops.reshape(q.mu, flat), ops.reshape(q.log_var, flat))
