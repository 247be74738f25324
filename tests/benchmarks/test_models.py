"""The page of the named models: each has its picture and figures, and the page is up to date."""

import json

from benchmarks import models
from kelbo.presets import PRESETS


def test_every_model_is_on_the_page_with_its_picture():
    results = json.loads(models.RESULTS.read_text())
    page = models.page(results)
    assert models.PAGE.read_text() == page
    assert set(results) == set(PRESETS)
    for name in PRESETS:
        assert f"\n## {name}\n" in page
        assert (models.IMAGES / f"{name}.png").is_file()
