"""The distributions of a model, of which an objective wants to know the kinds."""

from keras import ops

from kelbo.distributions.distribution import Distribution, Tensor
from kelbo.inputs import select
from kelbo.posteriors import Posterior
from kelbo.priors import Prior


def example(posterior: Posterior, prior: Prior | None) -> tuple[Distribution, Distribution | None]:
    """q(z|x) and p(z) for one datum that is zero everywhere, as are its conditions."""
    several = len(posterior.context_shapes) > 1
    shapes = dict(posterior.context_shapes) if several else {"x": posterior.context_shape}
    x_shape = shapes.pop("x")
    shapes |= {} if prior is None else prior.context_shapes
    context = {name: ops.zeros((1, *shape)) for name, shape in shapes.items()}

    def q_of(x: Tensor) -> Distribution:
        given = select(x, context, posterior.context_shapes)
        return posterior.distribution(posterior(given, training=False))

    q = q_of(ops.zeros((1, *x_shape)))
    if prior is None:
        return q, None
    # Not through Keras's __call__, which knows nothing of an argument that is a function.
    return q, prior.distribution(prior.call(context, posterior=q_of, training=False))
