"""Does z carry anything about x?"""

from kelbo.clinic.diagnosis.finding import Finding, in_row
from kelbo.clinic.diagnosis.observation import Observation
from kelbo.evaluation.activity import ACTIVE_ABOVE

# A KL in one dimension, in nats, that is as good as none.
NOTHING = 0.01


def check_collapse(observation: Observation) -> Finding | None:
    """Find latent dimensions whose posterior is the same for every datum."""
    dimensions, active = observation.mu.shape[1], len(observation.active)
    if active == dimensions or not (active or observation.collapsed):
        return None
    inactive = sorted(set(range(dimensions)) - set(observation.active.tolist()))
    figures = {"inactive_dimensions": inactive, "active_units": active}
    if active:
        other_beta = ", or an effective beta of 1" if observation.beta_is_above_1 else ""
        return Finding(
            name="inactive-dimensions",
            severity="note",
            title=f"{len(inactive)} of {dimensions} latent dimensions are not used",
            meaning=(
                f"The posterior means of {in_row(inactive)} vary by less than {ACTIVE_ABOVE} over "
                "the data. A model that needs fewer dimensions than it has leaves the others at "
                "the prior."
            ),
            cure=f"Nothing, or latent_dim={active}{other_beta}.",
            figures=figures,
        )
    return Finding(
        name="posterior-collapse",
        severity="error",
        title="The posterior has collapsed: z carries nothing about x",
        meaning=(
            f"The encoder gives the same code for every datum in all {dimensions} latent "
            f"dimensions (posterior means vary by less than {ACTIVE_ABOVE}"
            f"{_kl(observation)}), so every reconstruction is the same.{_since(observation)}"
        ),
        cure=f"{_cure(observation)}{_to_the_last_digit(observation)}",
        figures=figures,
    )


def _kl(observation: Observation) -> str:
    return "" if observation.kl is None else f"; the KL is {observation.kl:.2g} nats"


def _since(observation: Observation) -> str:
    """A sentence with the first epoch after which the KL stayed at nothing; "" without one."""
    nothing = NOTHING * observation.mu.shape[1]
    epochs = observation.kl_of_epochs
    since = len(epochs)
    while since and epochs[since - 1] < nothing:
        since -= 1
    if since == len(epochs):
        return ""
    return f" The KL is below {nothing:.2g} nats since epoch {since + 1} of {len(epochs)}."


def _to_the_last_digit(observation: Observation) -> str:
    """Advice where codes or reconstructions are equal to the last digit: an input gets lost."""
    if not observation.activity.any():
        return (
            " The encoder gives the same to the last digit, whatever x is: check that x reaches it "
            "and that no layer is dead (all negative into a ReLU)."
        )
    if observation.decoder_is_deaf:
        return (
            " The decoder gives the same to the last digit, whatever z is: check that its input is "
            "z."
        )
    return ""


def _cure(observation: Observation) -> str:
    if observation.log_var is None:  # an autoencoder, which has no KL
        return (
            "Train longer, with a lower learning rate, and check that no layer of the encoder is "
            "frozen or dead (all negative into a ReLU)."
        )
    if observation.beta_is_above_1:
        return (
            "Lower the weight of the KL to an effective beta of 1. Then let it warm up from 0 over "
            "the first epochs (in kelbo: --warmup-epochs 5, kelbo.LinearWarmup)."
        )
    first = (
        "Let the weight of the KL warm up from 0 over the first epochs (in kelbo: --warmup-epochs "
        "5, kelbo.LinearWarmup), train"
        if observation.kl_can_warm_up
        else "Train"
    )
    if observation.effective_beta is None:
        first = f"Check that the effective beta is 1. {first}"
    return (
        f"{first} longer, give the encoder a lower learning rate or more units. With a Gaussian "
        "likelihood learn its variance (in kelbo: gaussian-shared)."
    )
