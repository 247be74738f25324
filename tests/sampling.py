"""Samples of tests that take long and rarely break.

A parametrised test with the mark `sample(count)` runs `count` of its cases, drawn anew in every
run. With `sample(count, each=function)` it runs as many of each group: the cases for which
`function`, called with their parameters by name, returns the same. The seed stands in the header of
the run, and KELBO_TEST_SEED sets it. A case that is named on the command line always runs, and
`--whole` runs them all, as `make test-all` does.
"""

import random
from collections import defaultdict


def draw(items, seed):
    """The cases of sampled tests that are not drawn, in their order."""
    groups = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("sample")
        if mark is not None:
            each = mark.kwargs.get("each", lambda **parameters: "")
            group = item.nodeid.partition("[")[0], each(**item.callspec.params)
            groups[group].append((item, mark.args[0]))
    left_out = []
    for group, cases in groups.items():
        count = max(0, len(cases) - cases[0][1])
        chosen = random.Random(f"{seed} {group}").sample(range(len(cases)), count)
        left_out += [cases[index][0] for index in sorted(chosen)]
    return left_out


def drawn(request, test, *parameters):
    """The values of these parameters in each case of a test of this module that runs."""
    return [
        tuple(item.callspec.params[parameter] for parameter in parameters)
        for item in request.session.items
        if item.path == request.path and item.originalname == test
    ]
