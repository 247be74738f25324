"""The likelihood of PixelCNN++ as p(x|z): a mixture of discretised logistics, for 8-bit images."""

from collections.abc import Sequence
from typing import Any

import keras

from kelbo.distributions import MixtureOfDiscretisedLogistics
from kelbo.distributions.distribution import Tensor
from kelbo.distributions.mixture_of_discretised_logistics import parameters_per_pixel
from kelbo.errors import UsageError
from kelbo.kinds import whole
from kelbo.likelihoods.likelihood import Likelihood
from kelbo.likelihoods.summary_layer import Summary
from kelbo.networks.output_range import check_all_reals
from kelbo.support import LEVELS

# From the narrowest scale to a logit that all but decides.
_ENOUGH = (-7.0, 4.0)
_MOST_CHANNELS = 4


@keras.saving.register_keras_serializable("kelbo")
class MixtureOfDiscretisedLogisticsLikelihood(Likelihood):
    """Each pixel is drawn from one of M logistics on 256 levels, channel after channel.

    Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017, sections 2.1 and 2.2. In a component
    the location of green depends linearly on the pixel's red, and that of blue on its red and
    green. Pixels are independent given z. log p(x|z) is a log-probability in nats; pixels off the
    grid k / 255 are refused.

    The decoder shows `MixtureOfDiscretisedLogistics.typical`: the mean of grey images; of colours
    the mean of each channel where those before it are at theirs.

    Args:
        network: a keras.Model from z to M (1 + 2 C + C (C - 1) / 2) numbers for each pixel, which
            can be any real numbers, in the order that the distribution has.
        components: M.

    Raises:
        UsageError: M < 1, there are more than 4 channels, or the outputs do not fit.
    """

    support = LEVELS

    def __init__(self, network: keras.Model, components: int = 10, **kwargs: Any):
        self.components = whole("components", components)
        if self.components < 1:
            raise UsageError(f"Expected at least 1 component, received {components}.")
        if kwargs.get("event_shape") is None:
            *pixels, numbers = network.outputs[0].shape[1:]
            kwargs["event_shape"] = (*pixels, self._channels(numbers))
        super().__init__(network, **kwargs)
        check_all_reals(type(self).__name__, network, 0, "locations and log-scales", _ENOUGH)

    def _channels(self, numbers: int) -> int:
        """C, of how many numbers a pixel has."""
        fits = {
            parameters_per_pixel(self.components, channels): channels
            for channels in range(1, _MOST_CHANNELS + 1)
        }
        if numbers not in fits:
            expected = ", ".join(f"{many} ({channels})" for many, channels in fits.items())
            raise UsageError(
                f"{type(self).__name__} with {self.components} components expected a network with "
                f"so many numbers for each pixel (by the number of channels): {expected}; received "
                f"{numbers}."
            )
        return fits[numbers]

    @classmethod
    def output_shapes(  # type: ignore[override]  # an option of its own
        cls, data_shape: Sequence[int], components: int = 10
    ) -> list[tuple[int, ...]]:
        """One output: M (1 + 2 C + C (C - 1) / 2) numbers for each pixel."""
        *pixels, channels = data_shape
        if not pixels or channels > _MOST_CHANNELS:
            raise UsageError(
                f"{cls.__name__} expected images, (height, width, channels) with at most "
                f"{_MOST_CHANNELS} channels, received data of shape {tuple(data_shape)}. For other "
                "8-bit data use a DiscretisedLogisticLikelihood."
            )
        return [(*pixels, parameters_per_pixel(components, channels))]

    @property
    def options(self) -> dict[str, Any]:
        """The number of components."""
        return {"components": self.components}

    def parameters(self, outputs: list[Tensor]) -> dict[str, Tensor]:
        """The numbers of each pixel, (batch, *pixels, M (1 + 2 C + C (C - 1) / 2))."""
        return {"numbers": outputs[0]}

    def distribution(self, parameters: dict[str, Tensor]) -> MixtureOfDiscretisedLogistics:
        """The mixture."""
        return MixtureOfDiscretisedLogistics(
            parameters["numbers"], self.event_shape[-1], self.event_rank
        )

    def mean_layer(self) -> keras.Layer:
        """From the numbers to what each pixel is like."""
        options = {"channels": self.event_shape[-1], "event_rank": self.event_rank}
        return Summary("MixtureOfDiscretisedLogistics", "typical", options, name="dec_out")
