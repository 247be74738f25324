"""What the doctor finds in a script and the port does not cure."""

from collections.abc import Sequence

from kelbo.clinic.doctor import Finding, Source, examine
from kelbo.clinic.port.script import Left

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
        "KLB406",  # names of TensorFlow 1: those of today
        "KLB407",  # layers of TensorFlow Probability: left
    }
)


def kept_findings(before: Source, after: Source, left: Sequence[Left]) -> list[Finding]:
    """The findings in a script that the port does not cure, at their places in the script.

    Args:
        before: the script.
        after: the ported script.
        left: what was left, at its place in the script; if nothing was, what should be cured and
            is not is an error of the ported script.
    """
    findings = examine(before)
    still = {(each.rule.code, each.happens) for each in (examine(after) if left else ())}
    known = {(each.rule.code, each.happens) for each in findings} & still
    # One that says something else after the port cannot be told from the others of its rule.
    changed = {code for code, _ in still} - {code for code, _ in known}
    noted = {one.line for one in left}

    def is_kept(finding: Finding) -> bool:
        code, place = finding.rule.code, finding.place
        if code not in CURED:
            return True
        if place is not None and place.line in noted:
            return False  # it is listed already
        return code in changed or (code, finding.happens) in known

    return [finding for finding in findings if is_kept(finding)]
