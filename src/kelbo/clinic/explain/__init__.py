"""What the errors of variational autoencoders in Keras mean, and the way out; needs no backend.

One module for each family of errors; `explain` finds those that a text shows.
"""

from kelbo.clinic.explain.explanation import FAMILIES, Explanation, Sign, Symptom
from kelbo.clinic.explain.find import explain
from kelbo.clinic.explain.table import EXPLANATIONS

__all__ = ["EXPLANATIONS", "FAMILIES", "Explanation", "Sign", "Symptom", "explain"]
