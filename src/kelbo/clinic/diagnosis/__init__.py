"""What is wrong with a VAE, read off its own numbers; `subject.py` says of which VAEs.

One check, one file. Each reads an `Observation` and returns a `Finding` or None.
"""

from kelbo.clinic.diagnosis.diagnose import diagnose
from kelbo.clinic.diagnosis.finding import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
