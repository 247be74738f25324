"""Every explanation there is, family by family."""

from kelbo.explain.call import CALL
from kelbo.explain.collapse import COLLAPSE
from kelbo.explain.loss import LOSS
from kelbo.explain.nan import NAN
from kelbo.explain.removed import REMOVED
from kelbo.explain.saving import SAVING
from kelbo.explain.symbolic import SYMBOLIC

EXPLANATIONS = (*SYMBOLIC, *LOSS, *CALL, *REMOVED, *COLLAPSE, *SAVING, *NAN)
