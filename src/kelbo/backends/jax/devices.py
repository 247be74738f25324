"""What the devices of a `keras.distribution` can share, on JAX: each takes as many data."""

import re

import keras

from kelbo.errors import DataError
from kelbo.inputs import KERAS_BATCH_SIZE


def devices_of_a_batch() -> int:
    """How many devices of this process share a batch; 1 without a `keras.distribution`."""
    if keras.backend.backend() != "jax":
        return 1
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    import jax

    mesh = distribution.device_mesh
    devices = mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]
    return max(1, devices // jax.process_count())


def check_shares(
    count: int | None, batch_size: int | None, steps: int | None = None, purpose: str = ""
) -> None:
    """Check that the devices can share every batch of an array.

    Args:
        count: of the data; None where it is not known before they come.
        batch_size: as Keras takes it.
        steps: how many batches are taken; None: all, the partial one too.
        purpose: what the data are for, such as " for validation".

    Raises:
        DataError: they cannot.
    """
    devices = devices_of_a_batch()
    if devices == 1 or count is None:
        return
    size = min(batch_size or KERAS_BATCH_SIZE, count)
    last = count % size if steps is None else 0
    if size % devices == 0 and last % devices == 0:
        return
    batches = f"in batches of {size}" + (f", the last of {last}" if last else "")
    whole = count - count % devices
    cure = f"drop the remainder, as in x[:{whole}]" if whole else f"bring at least {devices} data"
    raise _refusal(
        devices,
        f"{count} data{purpose} {batches}",
        f"Let batch_size be a multiple of {devices}, and {cure}.",
    )


def explained(error: BaseException) -> BaseException:
    """kelbo's error for JAX's that the devices cannot share a batch; any other as it is."""
    if type(error).__name__ != "IndivisibleError":  # no public name of JAX
        return error
    size = re.search(r"dimension size is (\d+)", str(error))
    return _refusal(
        devices_of_a_batch(),
        f"a batch of {size[1]}" if size else "another",
        "Make the batches of the data set so and drop the remainder, as in "
        "dataset.batch(32, drop_remainder=True).",
    )


def _refusal(devices: int, received: str, cure: str) -> DataError:
    return DataError(
        f"{devices} devices share each batch, so its size is expected to be a multiple of "
        f"{devices}; received {received}. {cure}"
    )
