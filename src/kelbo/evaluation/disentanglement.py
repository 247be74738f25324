"""How well the dimensions of a code are told apart by the factors that made the data.

Every function takes codes (n, d), such as `vae.posterior_mean(x)`, and factors (n, k), the numbers
from which each datum was made; d and k are at least 2. They import no backend. The definitions are
those of the papers; Locatello et al., "Challenging common assumptions in the unsupervised learning
of disentangled representations", 2019, compares them.
"""

from dataclasses import dataclass

import numpy as np

from kelbo.errors import DataError
from kelbo.kinds import check_sizes

BINS = 20


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """MIG: the mean over the factors of (I_1 - I_2) / H(v), from 0 to 1; higher is better.

    I_1 and I_2 are the two largest mutual informations of the factor with a dimension of the code,
    in a histogram (Chen et al., "Isolating sources of disentanglement", 2018, equation 6). Where a
    factor has more values than there are bins, a perfect code scores less than 1.

    Args:
        codes: (n, d).
        factors: (n, k), of few different values each.
        bins: of each dimension of the code, equally wide from its smallest value to its largest.

    Raises:
        DataError: they are no such arrays.
    """
    codes, factors = _checked(codes, factors)
    information = np.sort(_information(codes, factors, bins), axis=0)
    entropies = np.array([_entropy(np.bincount(column)) for column in _classes(factors)])
    return float(np.mean((information[-1] - information[-2]) / entropies))


def modularity(codes: np.ndarray, factors: np.ndarray, bins: int = BINS) -> float:
    """Whether each dimension of the code tells of one factor alone, from 0 to 1; higher is better.

    The mean over the dimensions of 1 - sum_(j != J) I_ij^2 / (I_iJ^2 (k - 1)), where J is the
    factor that dimension i tells most about (Ridgeway and Mozer, "Learning deep disentangled
    embeddings with the F-statistic loss", 2018, section 3). One that tells of none scores 0.

    Args:
        codes: (n, d).
        factors: (n, k), of few different values each.
        bins: as in `mutual_information_gap`.

    Raises:
        DataError: they are no such arrays.
    """
    codes, factors = _checked(codes, factors)
    squared = _information(codes, factors, bins) ** 2
    largest = squared.max(axis=1)
    others = squared.sum(axis=1) - largest
    told = largest > 1e-20  # the square of what rounding leaves of an information of 0
    safe = np.where(told, largest, 1.0)
    return float(np.mean(np.where(told, 1.0 - others / (safe * (factors.shape[1] - 1)), 0.0)))


def attribute_predictability(codes: np.ndarray, factors: np.ndarray) -> float:
    """SAP: the mean over the factors of the gap between the two best R^2, from 0 to 1.

    R^2 is that of a line from one dimension of the code to the factor (Kumar, Sattigeri and
    Balakrishnan, "Variational inference of disentangled latent concepts", 2018, section 3). A
    factor's values count as numbers here, also where they name classes.

    Args:
        codes: (n, d).
        factors: (n, k).

    Raises:
        DataError: they are no such arrays.
    """
    codes, factors = _checked(codes, factors)
    explained = np.sort(np.square(_standardised(codes).T @ _standardised(factors) / len(codes)), 0)
    return float(np.mean(explained[-1] - explained[-2]))


@dataclass(frozen=True)
class DCI:
    """Disentanglement, completeness and informativeness.

    Attributes:
        disentanglement: from 0 to 1, where each dimension of the code is used for one factor.
        completeness: from 0 to 1, where each factor needs one dimension.
        error: of the prediction, from 0 to about 1, where the code says nothing: root mean square,
            as a share of a factor's standard deviation, on the half that was held out.
    """

    disentanglement: float
    completeness: float
    error: float


def dci(codes: np.ndarray, factors: np.ndarray, penalty: float = 0.02, seed: int = 0) -> DCI:
    """DCI, from a lasso regression of each factor on the code.

    Eastwood and Williams, "A framework for the quantitative evaluation of disentangled
    representations", 2018. The importance of a dimension is the size of its weight, all being of
    one scale: what is not linear in the code it does not see. The penalty is theirs.

    Args:
        codes: (n, d), n >= 4.
        factors: (n, k).
        penalty: of the lasso.
        seed: of the halves to learn from and to predict.

    Raises:
        DataError: they are no such arrays.
    """
    codes, factors = _checked(codes, factors)
    codes, factors = _standardised(codes), _standardised(factors)
    order = np.random.default_rng(seed).permutation(len(codes))
    half = (len(codes) + 1) // 2
    learnt, held_out = order[:half], order[half:]
    weights = _lasso(codes[learnt], factors[learnt], penalty)
    errors = np.sqrt(np.square(codes[held_out] @ weights - factors[held_out]).mean(axis=0))
    importance = np.abs(weights)
    total = importance.sum()
    if total == 0.0:
        return DCI(0.0, 0.0, float(errors.mean()))
    shares = importance.sum(axis=1) / total
    return DCI(
        float(np.sum(shares * _concentration(importance))),
        float(np.mean(_concentration(importance.T))),
        float(errors.mean()),
    )


def factor_vae_metric(
    codes: np.ndarray, factors: np.ndarray, votes: int = 800, batch: int = 64, seed: int = 0
) -> float:
    """The accuracy of a majority vote for the factor that is held fixed, from 0 to 1.

    Of data that share one factor's value the dimension of the code that varies least, against how
    it varies over all, votes for that factor (Kim and Mnih, "Disentangling by factorising", 2018,
    section 4). Half of the votes set the majorities, the others are judged by them. Chance is about
    1 / k.

    Args:
        codes: (n, d); dimensions with a variance below 0.05 of the largest one's count as inactive.
        factors: (n, k), of few different values each, so that many data share one.
        votes: in each half.
        batch: data to a vote, drawn with replacement from those that share a value.
        seed: of the draws.

    Raises:
        DataError: they are no such arrays.
        UsageError: a number is < 1.
    """
    codes, factors = _checked(codes, factors)
    check_sizes(votes=votes, batch=batch)
    variances = codes.var(axis=0)
    if not variances.any():
        return 1.0 / factors.shape[1]
    active = codes[:, variances >= 0.05 * variances.max()]
    scaled = active / active.std(axis=0)
    generator = np.random.default_rng(seed)
    classes = _classes(factors)
    members = [
        [np.flatnonzero(column == value) for value in range(column.max() + 1)] for column in classes
    ]
    counts = np.zeros((2, scaled.shape[1], factors.shape[1]), int)
    for half in counts:
        for _ in range(votes):
            factor = generator.integers(factors.shape[1])
            value = classes[factor][generator.integers(len(codes))]
            drawn = generator.choice(members[factor][value], batch)
            half[scaled[drawn].var(axis=0).argmin(), factor] += 1
    majority = counts[0].argmax(axis=1)
    return float(counts[1][np.arange(len(majority)), majority].sum() / votes)


def _checked(codes: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes, factors = np.asarray(codes, "float64"), np.asarray(factors, "float64")
    shapes = f"received codes of shape {codes.shape} and factors of shape {factors.shape}"
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or len(codes) < 4:
        raise DataError(
            "Expected codes (n, d) and factors (n, k) of the same data, at least 4; "
            f"{shapes}. Flatten a z of several axes: z.reshape(len(z), -1)."
        )
    if codes.shape[1] < 2 or factors.shape[1] < 2:
        raise DataError(
            f"Expected at least two dimensions of the code and two factors, {shapes}: with one "
            "there is nothing to tell apart."
        )
    if not (np.isfinite(codes).all() and np.isfinite(factors).all()):
        raise DataError("Expected finite codes and factors, received NaN or infinity.")
    constant = np.flatnonzero(np.ptp(factors, axis=0) == 0.0)
    if len(constant):
        raise DataError(f"Factor {constant[0]} has one value alone: leave it out.")
    return codes, factors


def _classes(factors: np.ndarray) -> list[np.ndarray]:
    """The values of each factor, numbered from 0: a column (n,) each."""
    return [np.unique(column, return_inverse=True)[1] for column in factors.T]


def _information(codes: np.ndarray, factors: np.ndarray, bins: int) -> np.ndarray:
    """The mutual information in nats of each dimension with each factor: (d, k)."""
    check_sizes(bins=bins)
    found = np.zeros((codes.shape[1], factors.shape[1]))
    classes = _classes(factors)
    for row, code in enumerate(codes.T):
        edges = np.histogram_bin_edges(code, bins)
        binned = np.clip(np.digitize(code, edges) - 1, 0, bins - 1)
        for column, values in enumerate(classes):
            size = values.max() + 1
            joint = np.bincount(binned * size + values, minlength=bins * size)
            own = _entropy(np.bincount(binned)) + _entropy(np.bincount(values))
            found[row, column] = own - _entropy(joint)
    return found


def _entropy(counts: np.ndarray) -> float:
    """The entropy in nats of a histogram."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1; a constant one is 0."""
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)


def _concentration(importance: np.ndarray) -> np.ndarray:
    """1 - H of each row as shares, to the base of their number: 1 where one has all; (rows,)."""
    totals = importance.sum(axis=1, keepdims=True)
    shares = importance / np.where(totals > 0.0, totals, 1.0)
    safe = np.where(shares > 0.0, shares, 1.0)
    entropy = -(shares * np.log(safe)).sum(axis=1) / np.log(importance.shape[1])
    return np.where(totals[:, 0] > 0.0, 1.0 - entropy, 0.0)


def _lasso(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Weights (d, k) that minimise |y - x w|^2 / 2n + penalty |w|_1, by coordinate descent."""
    gram, target = x.T @ x / len(x), x.T @ y / len(x)
    weights = np.zeros_like(target)
    for _ in range(1000):
        before = weights.copy()
        for row in range(len(gram)):
            if gram[row, row] > 0.0:
                rest = target[row] - gram[row] @ weights + gram[row, row] * weights[row]
                shrunk = np.sign(rest) * np.maximum(np.abs(rest) - penalty, 0.0)
                weights[row] = shrunk / gram[row, row]
        if np.abs(weights - before).max() < 1e-8:
            break
    return weights
