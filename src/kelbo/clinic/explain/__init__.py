"""What the errors of variational autoencoders in Keras mean, and the way out; needs no backend.

Each module holds one family of errors; `explain` finds the entries that fit a text.
"""

from kelbo.clinic.explain.explanation import FAMILIES, Explanation, Sign, Symptom
from kelbo.clinic.explain.find import explain
from kelbo.clinic.explain.table import EXPLANATIONS

__all__ = ["EXPLANATIONS", "FAMILIES", "Explanation", "Sign", "Symptom", "explain"]
