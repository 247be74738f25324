"""Do the data lie in the support of p(x|z)?"""

import numpy as np

from kelbo.clinic.diagnosis.finding import Finding
from kelbo.errors import DataError
from kelbo.likelihoods.likelihood import check_values


def check_support(x: np.ndarray, likelihood: str, support: tuple[float, float]) -> Finding | None:
    """Find data that are not finite, or outside the support.

    Args:
        x: (n, *data_shape).
        likelihood: the name of p(x|z).
        support: the smallest and the largest value that x may have.
    """
    try:
        check_values(x, support, likelihood)
    except DataError as error:
        return Finding(
            name="data-outside-the-support",
            severity="error",
            title="The data are not data of the likelihood",
            meaning=f"{error} The loss of other data is no likelihood, and may fall for ever.",
            cure="Mend the data, train again, then diagnose again: the other checks wait for it.",
        )
    return None
