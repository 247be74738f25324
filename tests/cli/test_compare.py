import shutil

from kelbo.runs import CONFIG
from tests.cli.program import kelbo, refused


def test_runs_are_one_table_one_object_or_one_page(run, trained, tmp_path):
    page = tmp_path / "page.html"
    result = kelbo("compare", trained, run, "--out", page)
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert lines[0] == f"A  vae on mnist, {trained}" and lines[1] == f"B  vae on mnist, {run}"
    (elbo,) = (line for line in lines if line.startswith("ELBO "))
    assert elbo.count("*") == 2 and elbo.endswith("nats, higher is better")
    assert lines[-1] == f"Page: {page}" and "</html>" in page.read_text(encoding="utf-8")
    found = kelbo("compare", trained, run, "--json").json
    assert found["runs"] == [str(trained), str(run)] and found["differences"] == []
    (elbo,) = (row for row in found["figures"] if row["name"] == "ELBO")
    assert elbo["best"] == [0, 1] and elbo["values"][0] == elbo["values"][1]


def test_differences_of_the_data_come_before_anything(run, trained):
    config = run / CONFIG
    config.write_text(config.read_text().replace("test_limit = 32", "test_limit = 16"))
    result = kelbo("compare", trained, run)
    assert result.err.startswith(
        "Different test images: The runs differ in test_limit (A: 32; B: 16)"
    )
    assert "*" not in result.out


def test_what_cannot_be_compared_is_refused(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    assert "Expected from 2 to 10 runs" in refused("compare", run, code=2)
    assert "received one of them twice" in refused("compare", run, run, code=2)
    assert "ends in .html" in refused("compare", run, other, "--out", "page.png", code=2)
    assert "There is no run at" in refused("compare", run, tmp_path / "nowhere", code=2)
    (other / "evaluation.json").write_text("{")
    assert "evaluation.json is damaged" in refused("compare", run, other, code=1)
