"""The prior that is a normalising flow."""

import math
from typing import Any, Self

import keras
from keras import ops

from kelbo.distributions import Normal, Transformed
from kelbo.distributions.distribution import Tensor
from kelbo.errors import UsageError
from kelbo.flows import Flow, MaskedAutoregressiveFlow, RealNVPFlow
from kelbo.kinds import check_kind
from kelbo.priors.prior import Prior


@keras.saving.register_keras_serializable("kelbo")
class FlowPrior(Prior):
    """p(z) of z = f(e), e ~ N(0, I), f a learned flow, of z of any rank.

    Chen et al., "Variational lossy autoencoder", 2017, section 3.2. The KL is estimated from the
    draws.

    Args:
        flow: of `kelbo.flows`: RealNVPFlow, the default, is one pass either way;
            MaskedAutoregressiveFlow is richer, and draws in d passes.

    Raises:
        UsageError: it is no flow, or one for posteriors alone.
    """

    def __init__(self, flow: Flow | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        flow = RealNVPFlow() if flow is None else flow
        check_kind(flow, Flow)
        if flow.amortised or not flow.invertible:
            raise UsageError(
                f"A {type(flow).__name__} is for posteriors: it needs an encoder's features, or "
                "knows the density of its own draws alone, and a prior is asked for that of any "
                "z. Use kelbo.flows.RealNVPFlow or kelbo.flows.MaskedAutoregressiveFlow."
            )
        self.flow = flow

    def build(self, latent_shape: tuple[int, ...]) -> None:
        """Make the weights of the flow.

        Raises:
            UsageError: z has too few dimensions for it.
        """
        if not self.flow.built:
            self.flow.build(math.prod(latent_shape))
        super().build(latent_shape)

    def distribution(self, parameters: dict[str, Tensor]) -> Transformed:
        """N(0, I), carried through the flow."""
        zeros = ops.zeros((math.prod(self.latent_shape),))
        return Transformed(Normal(zeros, zeros), self.flow.bijector({}), self.latent_shape)

    def get_config(self) -> dict[str, Any]:
        """The flow and the layer's own settings."""
        return {**super().get_config(), "flow": keras.saving.serialize_keras_object(self.flow)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild from `get_config`."""
        flow = keras.saving.deserialize_keras_object(config["flow"])
        return cls(**{**config, "flow": flow})


def real_nvp_prior(num_layers: int = 6, hidden_units: int = 64, **kwargs: Any) -> FlowPrior:
    """A FlowPrior with a RealNVPFlow of these sizes."""
    return FlowPrior(RealNVPFlow(num_layers, hidden_units), **kwargs)


def masked_autoregressive_prior(
    num_layers: int = 4, hidden_units: int = 64, **kwargs: Any
) -> FlowPrior:
    """A FlowPrior with a MaskedAutoregressiveFlow of these sizes."""
    return FlowPrior(MaskedAutoregressiveFlow(num_layers, hidden_units), **kwargs)
