"""What the figures of an evaluation say about the model, the gravest first. Needs no backend."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelbo.beta import OR_BETA_OF_1, explain_beta, format_beta
from kelbo.evaluation.figure import FLOORS
from kelbo.evaluation.figures import latent_dim

# With at most this share of its latent dimensions active a model has few.
_FEW = 0.25


@dataclass(frozen=True)
class Finding:
    """Something that a reader must know before the figures.

    Attributes:
        title: what it is, in a few words.
        text: what it means and what to do, in whole sentences.
        grave: whether the model is of no use as it is.
    """

    title: str
    text: str
    grave: bool = False

    def __str__(self) -> str:
        return f"{self.title}: {self.text}"


def findings(evaluation: Mapping[str, Any]) -> list[Finding]:
    """What the figures of an evaluation say, the gravest first.

    Args:
        evaluation: the content of evaluation.json, of any version of kelbo; a figure that it does
            not have says nothing.
    """
    # A collapsed model reaches the floor at best, and the reason is said with it.
    collapse = _collapse(evaluation)
    if collapse is not None:
        return [collapse]
    found = (_below_floor(evaluation), _beta(evaluation), _few(evaluation))
    return [finding for finding in found if finding is not None]


def _collapse(evaluation: Mapping[str, Any]) -> Finding | None:
    if evaluation.get("active_units") != 0:
        return None
    beta = evaluation.get("effective_beta")
    if beta is not None and beta > 1.25:
        cure = (
            f"The effective beta of {format_beta(beta)} is a likely reason: train with a lower "
            "one, or let it rise slowly (--warmup-epochs, where the model has it)."
        )
    else:
        cure = (
            "Train longer, let beta rise slowly (--warmup-epochs, where the model has it), or take "
            "a decoder that cannot do without z."
        )
    return Finding(
        "Posterior collapse",
        "No latent dimension is active: the posterior mean is the same for every image, and the "
        f"code says nothing about it. {cure}",
        grave=True,
    )


def _below_floor(evaluation: Mapping[str, Any]) -> Finding | None:
    floor = (evaluation.get(FLOORS) or {}).get("independent_pixels")
    # The tightest bound on log p(x) that there is; of an autoencoder the reconstruction alone.
    bounds = (evaluation.get(key) for key in ("elbo", "importance_weighted_bound"))
    known = [bound for bound in bounds if bound is not None]
    reached = max(known) if known else evaluation.get("reconstruction")
    if floor is None or reached is None or -reached <= floor:
        return None
    beta = evaluation.get("effective_beta")
    other_beta = OR_BETA_OF_1 if beta is not None and explain_beta(beta) else ""
    return Finding(
        "Worse than no latents at all",
        f"The model is worse than one that knows the mean of each pixel and nothing else: "
        f"{reached:,.2f} nats against {-floor:,.2f}. Train it longer or on more "
        f"images{other_beta}.",
        grave=True,
    )


def _few(evaluation: Mapping[str, Any]) -> Finding | None:
    active, count = evaluation.get("active_units"), latent_dim(evaluation)
    if not active or active > _FEW * count:
        return None
    return Finding(
        "Few latent dimensions in use",
        f"{active} of {count} are active: their means vary from image to image, those of the "
        "others hardly do. A smaller z would do as well; a lower beta would use more of it.",
    )


def _beta(evaluation: Mapping[str, Any]) -> Finding | None:
    beta, note = evaluation.get("effective_beta"), evaluation.get("effective_beta_note")
    if beta is None or not note:
        return None
    return Finding(f"Effective beta of {format_beta(beta)}", f"{note[0].upper()}{note[1:]}.")
