"""Every explanation, family by family."""

from kelbo.clinic.explain.call import CALL
from kelbo.clinic.explain.collapse import COLLAPSE
from kelbo.clinic.explain.loss import LOSS
from kelbo.clinic.explain.nan import NAN
from kelbo.clinic.explain.removed import REMOVED
from kelbo.clinic.explain.saving import SAVING
from kelbo.clinic.explain.symbolic import SYMBOLIC

EXPLANATIONS = (*SYMBOLIC, *LOSS, *CALL, *REMOVED, *COLLAPSE, *SAVING, *NAN)
