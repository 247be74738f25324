"""Find what is wrong with a VAE from its own numbers.

`find_subject.py` finds the parts of a model, `observation.py` passes data through them, and each
check is one file: it reads an `Observation` and returns a `Finding` or None.
"""

from kelbo.clinic.diagnosis.diagnose import diagnose
from kelbo.clinic.diagnosis.finding import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
