"""What the doctor finds in a script and the port does not cure."""

from kelbo.clinic.doctor import Finding, Source, examine

# What the port rewrites for Keras 3, or lists as left. If the doctor no longer finds one of these
# in the ported script, it is cured. All others are faults of the script on any Keras.
CURED = frozenset(
    {
        "KLB101",  # a loss, a layer, a step reads tensors from outside: they become arguments
        "KLB102",
        "KLB103",
        "KLB104",  # add_loss on a functional model: a compute_loss
        "KLB105",  # add_metric: a metric that compute_loss feeds
        "KLB106",  # add_loss of one value for each datum: its mean
        "KLB107",  # eager execution is disabled: it is not
        "KLB109",  # every step runs eagerly: it need not
        "KLB301",  # a Lambda draws the noise: a layer does
        "KLB314",  # noise for one batch size: noise of the shape of mu
        "KLB401",  # names, functions and arguments of Keras 2: those of today
        "KLB402",
        "KLB403",
        "KLB404",  # a class that cannot be loaded: a registered one
        "KLB405",
    }
)


def kept_findings(before: Source, after: Source, left: bool) -> list[Finding]:
    """The findings in a script that the port does not cure, at their places in the script.

    Args:
        before: the script.
        after: the ported script.
        left: whether something was left; if nothing was, what should be cured and is not is an
            error of the ported script.
    """
    still = {finding.rule.code for finding in examine(after)} if left else set()
    return [
        finding
        for finding in examine(before)
        if finding.rule.code not in CURED or finding.rule.code in still
    ]
