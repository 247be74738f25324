"""What the errors of variational autoencoders in Keras mean, and the way out; needs no backend.

One module for each family of errors; `explain` finds those that a text shows.
"""

from kelbo.explain.explanation import FAMILIES, Explanation, Sign, Symptom
from kelbo.explain.find import explain
from kelbo.explain.table import EXPLANATIONS

__all__ = ["EXPLANATIONS", "FAMILIES", "Explanation", "Sign", "Symptom", "explain"]
