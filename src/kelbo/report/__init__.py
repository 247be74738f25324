"""From a run directory to pictures and one HTML page. Needs no backend.

write_report(RunDirectory.open("runs/mnist-vae"))  # -> runs/mnist-vae/report.html
"""

from kelbo.report.grid import image_grid, pair_grid, save_grid, save_pairs
from kelbo.report.page import write_report

__all__ = ["image_grid", "pair_grid", "save_grid", "save_pairs", "write_report"]
