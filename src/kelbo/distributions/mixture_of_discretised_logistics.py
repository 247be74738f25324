"""A mixture of discretised logistics for each pixel, its channels conditioned on one another.

Salimans, Karpathy, Chen and Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic
Mixture Likelihood and Other Modifications", 2017, sections 2.1 and 2.2.
"""

from typing import Any

from keras import ops

from kelbo.distributions.discretised_logistic import (
    HIGHEST,
    SMALLEST_LOG_SCALE,
    as_levels,
    axis,
    levels_of,
    log_prob_of_levels,
    mean_of_levels,
)
from kelbo.distributions.distribution import Distribution, Tensor, float32
from kelbo.distributions.draws import categorical, logistic, several_seeds


def parameters_per_pixel(components: int, channels: int) -> int:
    """How many numbers a pixel has: M (1 + 2 C + C (C - 1) / 2) of M components, C channels."""
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


class MixtureOfDiscretisedLogistics(Distribution):
    """Each pixel is drawn from one of M components; in a component channel follows channel.

    The location of a channel is its own number and, for each channel before it, tanh(coefficient)
    times what that channel is. Pixels are independent of one another. Values are k / 255, and
    `log_prob` is a log-probability, as for `DiscretisedLogistic`.

    Args:
        numbers: (S..., batch, *pixels, M (1 + 2 C + C (C - 1) / 2)). Of each pixel: M logits; then
            C times M locations; C times M log-scales; and M coefficients of each pair of channels,
            in the order (0, 1), (0, 2), (1, 2), ...
        channels: C, the size of the last axis of a value.
        event_rank: the number of trailing axes that make up one value, that of C included.
    """

    def __init__(self, numbers: Tensor, channels: int, event_rank: int = 3):
        super().__init__(event_rank)
        self.channels = channels
        numbers = float32(numbers)
        each = parameters_per_pixel(1, channels)
        parts = ops.split(numbers, each, axis=-1)  # (S..., batch, *pixels, M) each
        self.logits = parts[0]
        self.locations = parts[1 : 1 + channels]
        self.log_scales = [
            ops.maximum(part, SMALLEST_LOG_SCALE) for part in parts[1 + channels : 1 + 2 * channels]
        ]
        self.coefficients = [ops.tanh(part) for part in parts[1 + 2 * channels :]]

    def _location(self, channel: int, before: list[Tensor]) -> Tensor:
        """The locations of a channel in each component, given the places y of those before it.

        Args:
            channel: its number.
            before: the places y of the channels 0 to channel - 1, broadcastable to (..., M).
        """
        first = channel * (channel - 1) // 2  # pairs are numbered by their later channel
        location = self.locations[channel]
        for earlier, y in enumerate(before):
            location = location + self.coefficients[first + earlier] * y
        return location

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats: (S..., batch, *pixels, C) -> (S..., batch)."""
        levels = as_levels(value)[..., None, :]  # the axis of the components before that of C
        log_prob = ops.log_softmax(self.logits, axis=-1)
        before: list[Tensor] = []
        for channel in range(self.channels):
            level = levels[..., channel]
            location = self._location(channel, before)
            log_prob = log_prob + log_prob_of_levels(level, location, self.log_scales[channel])
            before.append(axis(level))
        of_pixels = ops.logsumexp(log_prob, axis=-1)  # (S..., batch, *pixels)
        pixels = tuple(range(1 - self.event_rank, 0))
        return ops.sum(of_pixels, axis=pixels) if pixels else of_pixels

    def sample(self, seed: Any, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draw pixels k / 255: (*sample_shape, batch, *pixels, C), float32."""
        first, *seeds = several_seeds(seed, 1 + self.channels)
        which = categorical(self.logits, sample_shape, first)
        component = ops.one_hot(which, int(self.logits.shape[-1]), dtype="float32")

        def of_component(numbers: Tensor) -> Tensor:
            return ops.sum(component * numbers, axis=-1)

        levels: list[Tensor] = []
        for channel in range(self.channels):
            before = [axis(level)[..., None] for level in levels]
            location = of_component(self._location(channel, before))
            scale = ops.exp(of_component(self.log_scales[channel]))
            levels.append(levels_of(location + scale * logistic(ops.shape(which), seeds[channel])))
        return ops.stack(levels, axis=-1) / HIGHEST

    def mean(self) -> Tensor:
        """The expected pixel of one channel, (batch, *pixels, 1).

        Raises:
            UsageError: there are several channels. The mean of one that depends on another has no
                closed form, because levels end at black and white: see `typical`.
        """
        if self.channels > 1:
            raise self._unknown("mean")
        return self.typical()

    def typical(self) -> Tensor:
        """The mean of each channel where the channels before it are at theirs: (batch, *pixels, C).

        Taken in each component, then averaged over the components. It is the mean of one channel,
        and of several as far as black and white do not cut off what a component spreads.
        """
        weights = ops.exp(ops.log_softmax(self.logits, axis=-1))  # Keras warns of one component
        places: list[Tensor] = []
        for channel in range(self.channels):
            location = self._location(channel, places)
            places.append(mean_of_levels(location, self.log_scales[channel]))
        means = [ops.sum(weights * place, axis=-1) for place in places]
        return 0.5 * (ops.stack(means, axis=-1) + 1.0)
