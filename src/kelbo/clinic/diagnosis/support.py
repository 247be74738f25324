"""Do the data lie where p(x|z) has any mass?"""

import numpy as np

from kelbo.clinic.diagnosis.finding import Finding
from kelbo.errors import DataError
from kelbo.support import Support


def check_support(x: np.ndarray, likelihood: str, support: Support) -> Finding | None:
    """Find data that are not finite, or outside the support.

    Args:
        x: (n, *data_shape).
        likelihood: its name.
        support: where it takes values.
    """
    try:
        support.check(x, likelihood)
    except DataError as error:
        return Finding(
            name="data-outside-the-support",
            severity="error",
            title="The data are not data of the likelihood",
            meaning=f"{error} The loss of other data is no likelihood, and may fall for ever.",
            cure="Mend the data, train again, then diagnose again: the other checks wait for it.",
        )
    return None
