import numpy as np

import kelbo
from benchmarks import streaming


def test_the_folder_holds_the_images_that_are_trained_on_in_memory(tmp_path):
    images = streaming.digits(30)
    streaming.write_folder(tmp_path, images)
    data = kelbo.data.load(tmp_path)
    found = np.concatenate([data.read(part, range(data.count(part))) for part in ("train", "test")])
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in images)


def test_the_page_has_a_row_for_each_place_and_size():
    at = {
        "samples_per_second": 1234.5,
        "ratio": 0.97,
        "ratio_min": 0.9,
        "ratio_max": 1.1,
        "processor_ratio": 0.98,
        "losses": [2.0, 1.5],
    }
    used = {"own": 3_000_000, "mapped": 1_000_000}
    result = {
        "samples": 900,
        "batch_size": 128,
        "rounds": 3,
        "device": "cpu",
        "seconds_to_cache": 0.5,
        "places": dict.fromkeys(streaming.PLACES, at),
        "growth": [{"images": 1000, **dict.fromkeys(streaming.PLACES, used)}],
        "environment": {
            "backend": "jax", "backend_version": "1.2", "keras": "3.15",
            "date": "2026-11-24T00:00", "cpu_count": 2, "processor": "a processor",
        },
    }  # fmt: skip
    page = streaming.page({"jax, cpu": result})
    for place in streaming.PLACES:
        assert f"| jax 1.2, cpu | {place} | 1,234 | 0.97 (0.90 to 1.10) | 0.98 | 1.500 |" in page
    assert "| jax, cpu | 1,000 | 3 + 1 | 3 + 1 | 3 + 1 |" in page
