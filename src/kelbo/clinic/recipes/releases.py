"""The line of history: every release of TensorFlow with its own Keras 2, then every Keras 3.

A recipe that worked in one environment of the table and fails in the next broke in a release
between the two; `history.py` looks for it here.
"""

from kelbo.clinic.recipes.environments import ENVIRONMENTS, Environment, keras_3, tensorflow

# As PyPI has them on 2026-11-23, release candidates left out. TensorFlow 2.16 and later have no
# Keras of their own: their tf.keras is the Keras 3 that is installed.
_TENSORFLOW = """
    1.15.0 1.15.2 1.15.3 1.15.4 1.15.5
    2.0.0 2.0.1 2.0.2 2.0.3 2.0.4
    2.1.0 2.1.1 2.1.2 2.1.3 2.1.4
    2.2.0 2.2.1 2.2.2 2.2.3
    2.3.0 2.3.1 2.3.2 2.3.3 2.3.4
    2.4.0 2.4.1 2.4.2 2.4.3 2.4.4
    2.5.0 2.5.1 2.5.2 2.5.3
    2.6.0 2.6.1 2.6.2 2.6.3 2.6.4 2.6.5
    2.7.0 2.7.1 2.7.2 2.7.3 2.7.4
    2.8.0 2.8.1 2.8.2 2.8.3 2.8.4
    2.9.0 2.9.1 2.9.2 2.9.3
    2.10.0 2.10.1 2.11.0 2.11.1 2.12.0 2.12.1 2.13.0 2.13.1 2.14.0 2.14.1 2.15.0 2.15.1
"""
_KERAS = """
    3.0.0 3.0.1 3.0.2 3.0.3 3.0.4 3.0.5 3.1.0 3.1.1 3.2.0 3.2.1 3.3.0 3.3.1 3.3.2 3.3.3
    3.4.0 3.4.1 3.5.0 3.6.0 3.7.0 3.8.0 3.9.0 3.9.1 3.9.2 3.10.0 3.11.0 3.11.1 3.11.2 3.11.3
    3.12.0 3.12.1 3.12.2 3.12.3 3.12.4 3.13.0 3.13.1 3.13.2 3.14.0 3.14.1 3.15.0 3.15.1
"""

RELEASES: tuple[Environment, ...] = (
    *map(tensorflow, _TENSORFLOW.split()),
    *map(keras_3, _KERAS.split()),
)

# The environments of the table that are on this line, in its order.
LANDMARKS: tuple[Environment, ...] = tuple(
    environment
    for environment in ENVIRONMENTS.values()
    if environment.title in {release.title for release in RELEASES}
)


def between(earlier: Environment, later: Environment) -> list[Environment]:
    """The releases after one landmark and before another, oldest first."""
    titles = [release.title for release in RELEASES]
    return list(RELEASES[titles.index(earlier.title) + 1 : titles.index(later.title)])
