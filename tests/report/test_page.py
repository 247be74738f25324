import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from kelbo.errors import DataError, RunError
from kelbo.evaluation.findings import findings
from kelbo.report import render, write_report
from kelbo.runs import (
    ARRAYS,
    CONFIG,
    ENVIRONMENT,
    EVALUATION,
    METRICS,
    PICTURES,
    REPORT,
    RunDirectory,
)

VOID = {"meta", "img", "wbr"}
WBR = "\0"  # where a word may break
PNGS = ["kl.png", "latent.png", "losses.png", "reconstructions.png", "samples.png"]
PNGS += ["traversals.png"]


class Page(HTMLParser):
    """A page taken apart; that every element is closed where it must be is checked on the way."""

    def __init__(self, html):
        super().__init__()
        self.html = html
        self.open, self.elements, self.words = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "wbr":
            self.words.append(WBR)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace(f" {WBR} ", "").split())

    def all(self, tag):
        return [attributes for found, attributes in self.elements if found == tag]

    @property
    def sections(self):
        return [attributes["aria-labelledby"] for attributes in self.all("section")]


def page_of(run):
    return Page(write_report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def page(reported):
    return Page(reported.file(REPORT).read_text(encoding="utf-8"))


def pngs(run):
    return sorted(path.name for path in run.file(PICTURES).glob("*"))


def test_a_whole_run(reported, page):
    run = reported
    assert page.html.startswith("<!DOCTYPE html>")
    assert page.sections == [
        "losses",
        "reconstructions",
        "samples",
        "traversals",
        "latent",
        "kl",
        "evaluation",
        "configuration",
        "environment",
        "repeat",
    ]
    assert pngs(run) == PNGS
    assert [entry for entry in run.path.iterdir() if entry.name.startswith(".")] == []
    for words in (
        "kelbo report · first-run vae on mnist",
        "ELBO −103.41 nats",
        "Importance-weighted bound, K = 16 −99.83 nats",
        "Active latent dimensions 3 of 4",
        "Effective beta 0.0049",
        "The KL term counts 204 times less than in the ELBO.",
        "2 epochs in 42.5 s, 2,800 images a second.",
        "Averages over 10,000 test images",
        "Best model without latents 205.90 nats",
        "Grey-pixel cross-entropy is not a log-likelihood.",
        "batch_size 128",
        "memory_gib 139",
        "−2.5 0 +2.5",
        f"kelbo train --config {run.file(CONFIG)}",
    ):
        assert words in page.text
    titles = [attributes.get("class") for attributes in page.all("div")]
    assert [title for title in titles if title and "notice" in title] == ["notice"]  # of the beta


def test_everything_seen_is_described(page):
    images = page.all("img")
    assert len(images) == 2 + 3  # pairs, samples, and a row of each of three dimensions
    assert all(image["alt"] and int(image["width"]) and int(image["height"]) for image in images)
    charts = [chart for chart in page.all("svg") if "aria-label" in chart]
    # Two curves; the latent plane and the KL, each wide and narrow.
    assert len(charts) == len(page.all("svg")) == 2 + 2 + 2
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    headings = [heading["id"] for heading in page.all("h2")]
    assert headings == page.sections
    assert len(page.all("figcaption")) == len(page.all("figure")) == 6
    assert all(header["scope"] in ("row", "col") for header in page.all("th"))


def test_the_page_needs_nothing_but_itself(page):
    assert "http" not in page.html
    assert not page.all("script") and not page.all("link")
    assert "@import" not in page.html and "@font-face" not in page.html
    loads = [attributes.get("src") or attributes.get("href") for _, attributes in page.elements]
    assert all(load.startswith(("data:", "#")) for load in loads if load)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page.html))


def test_identifiers_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_same_run_gives_the_same_bytes(run):
    path = write_report(run)
    assert path == run.path / "report.html"
    first = path.read_bytes()
    pictures = {name: (run.file(PICTURES) / name).read_bytes() for name in PNGS}
    assert write_report(run).read_bytes() == first
    assert {name: (run.file(PICTURES) / name).read_bytes() for name in PNGS} == pictures


def test_hostile_names_stay_text(run, tmp_path, config, evaluation, arrays):
    attack = '"><script>alert(1)</script>$x$'
    hostile = RunDirectory.create(tmp_path / "<script>alert(1)<")
    hostile.write_config(config | {"model": {"preset": attack}, attack: {attack: attack}})
    hostile.write_json(
        EVALUATION, evaluation | {"notes": [attack], "effective_beta_note": attack, attack: 1.0}
    )
    hostile.write_json(ENVIRONMENT, {attack: attack})
    hostile.write_arrays(arrays | {"label_names": np.array([attack, "{{ 7 * 7 }}", "&amp;"])})
    page = page_of(hostile)
    assert not page.all("script")
    assert page.text.count(attack) >= 6
    assert "{{ 7 * 7 }}" in page.text
    assert "kelbo report · <script>alert(1)<" in page.text


def test_a_collapsed_run_says_so_on_top_and_once(run, evaluation, arrays):
    evaluation |= {"active_units": 0, "active_dimensions": [], "effective_beta": 1.0}
    notes = [*map(str, findings(evaluation)), "Another."]
    run.write_json(EVALUATION, evaluation | {"notes": notes})
    run.write_arrays({name: a for name, a in arrays.items() if "traversal" not in name})
    text = page_of(run).text
    assert text.index("Posterior collapse") < text.index("−103.41")
    assert text.count("No latent dimension is active:") == 1
    assert "Another." in text
    assert "no latent dimension is active, so none tells" in text


def test_of_many_dimensions_the_most_informative_are_walked(run, evaluation, arrays):
    count = 20
    values = {"kl_per_dimension": [1.0] * count, "activity": [1.0] * count}
    values |= {"active_units": count, "active_dimensions": list(range(count))}
    run.write_json(EVALUATION, evaluation | values)
    walked = np.zeros((count, 5, 8, 8, 1), np.float32)
    run.write_arrays(arrays | {"traversals": walked, "traversal_dimensions": np.arange(count)})
    assert "The 16 most informative of 20." in page_of(run).text


# What the run does not have yet.


def test_an_unevaluated_run_says_how_to_evaluate_it(run):
    run.file(EVALUATION).unlink()
    run.file(ARRAYS).unlink()
    page = page_of(run)
    assert page.sections == ["losses", "configuration", "environment", "repeat"]
    assert pngs(run) == ["losses.png"]
    assert "Not evaluated yet" in page.text
    assert f"kelbo evaluate {run.path}" in page.text
    assert "ELBO −" not in page.text


def test_a_run_that_only_began(run):
    for name in (EVALUATION, ARRAYS, METRICS, ENVIRONMENT):
        run.file(name).unlink()
    page = page_of(run)
    assert page.sections == ["configuration", "repeat"]
    assert "No epoch of this training was finished" in page.text
    assert not run.file(PICTURES).exists()


def test_an_autoencoder(run, arrays, config):
    run.write_config(config | {"model": {"preset": "ae"}})
    run.write_metrics([{"epoch": 1, "loss": 80.0, "reconstruction": -80.0}])
    run.write_json(EVALUATION, {"reconstruction": -76.2, "elbo": None})
    kept = ("originals", "reconstructions", "latent_means")
    run.write_arrays({name: arrays[name] for name in kept})
    page = page_of(run)
    assert page.sections[:6] == [
        "losses",
        "reconstructions",
        "samples",
        "traversals",
        "latent",
        "evaluation",
    ]
    assert "an autoencoder has no prior to draw from" in page.text
    assert "Reconstruction −76.20 nats" in page.text
    for absent in ("ELBO", "KL", "Active latent", "Effective beta", "coloured by label"):
        assert absent not in page.text
    assert "overfitting" not in page.text  # nothing was held out


@pytest.mark.parametrize("name", [CONFIG, METRICS, EVALUATION, ENVIRONMENT, ARRAYS])
def test_a_damaged_file_is_an_error_and_no_page(run, name):
    run.file(name).write_text("{ half of")
    with pytest.raises(RunError, match=f"{name} is damaged"):
        write_report(run)
    assert not run.file("report.html").exists()


def test_a_run_without_configuration_is_no_run(run):
    run.file(CONFIG).unlink()
    with pytest.raises(RunError, match="has no config.toml"):
        write_report(run)


def test_a_failure_leaves_the_old_page(run, arrays):
    old = write_report(run).read_bytes()
    run.write_arrays(arrays | {"samples": np.full((2, 8, 8, 1), np.nan)})
    with pytest.raises(DataError, match="NaN"):
        write_report(run)
    assert run.file("report.html").read_bytes() == old


# The look.


def luminance(colour):
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_the_contrast_of_wcag_aa_in_light_and_in_dark(page, scheme):
    palettes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", page.html, flags=re.DOTALL)
    ]
    palette = palettes[scheme]
    for text in ("ink", "muted", "accent", "second"):
        for ground in ("paper", "raised"):
            light, dark = sorted(map(luminance, (palette[text], palette[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_charts_share_the_colours_of_the_page(page):
    for name in ("INK", "MUTED", "RULE", "PAPER", "ACCENT", "SECOND"):
        assert f"--{name.lower()}: {getattr(render, name)};" in page.html


def test_the_package_imports_no_framework():
    script = (
        "import sys, kelbo.report; "
        "found = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib.pyplot'} & set(sys.modules); "
        "sys.exit(f'imported {found}' if found else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
