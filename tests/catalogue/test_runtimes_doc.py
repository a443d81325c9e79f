"""docs/runtimes.md: it shows the catalogue as it is."""

import pytest
import yaml

from scripts import measured_runtimes, runtimes_doc

ROW = {
    "engine": "PyTorch",
    "runtime": "torch9-python3.11",
    "engine_version": "9.0",
    "status": "current",
    "python": "3.11",
    "architectures": ["x86_64"],
    "devices": ["cpu", "gpu"],
    "default": True,
    "available": True,
    "base_image": "python:3.11-slim",
    "notes": "Some\nnotes.\n",
}


def table_of(text):
    return [line for line in text.splitlines() if line.startswith("| ")][2:]


def test_the_page_is_up_to_date():
    stale = "run scripts/runtimes_doc.py"
    text = runtimes_doc.render(runtimes_doc.load_rows(), runtimes_doc.load_measured())
    assert runtimes_doc.PAGE.read_text(encoding="utf-8") == text, stale


def test_the_page_has_one_line_for_each_entry():
    files = list(runtimes_doc.CATALOGUE.glob("*/*.yaml"))
    lines = table_of(runtimes_doc.PAGE.read_text(encoding="utf-8"))
    assert len(lines) == len(files)
    for file in files:
        assert [line for line in lines if line.startswith(f"| {file.parent.name} | `{file.stem}` |")]


def test_a_row_shows_its_facts_and_what_was_measured():
    figures = {"image_bytes": 1_234_567_890, "build_s": 61.7, "test_s": 9.2, "latency_ms": 12.34}
    measured = {"PyTorch/torch9-python3.11": figures}
    assert table_of(runtimes_doc.render([ROW], measured)) == [
        "| PyTorch | `torch9-python3.11` | 9.0 | 3.11 | cpu, gpu | x86_64 | **yes** | current | yes "
        "| `python:3.11-slim` | 1235 | 62 | 9 | 12.3 |"
    ]


def test_a_row_that_was_not_measured_has_empty_cells():
    assert table_of(runtimes_doc.render([ROW], {}))[0].endswith("| `python:3.11-slim` |  |  |  |  |")


@pytest.mark.parametrize(
    "change, shown",
    [
        ({"available": False, "unavailable_reason": "No wheel.", "nearest": "x"}, "No wheel. The nearest is `x`."),
        ({"stand_in": "Something\nelse."}, "- **PyTorch/torch9-python3.11**: Something else."),
        ({"base_recipe": "FROM scratch\n"}, "```dockerfile\nFROM scratch\n```"),
        (
            {"variants": {"gpu": {"devices": ["gpu"], "base_image": "b:1", "notes": "Other."}}},
            "- **PyTorch/torch9-python3.11 (gpu)**: gpu on `b:1`. Other.",
        ),
    ],
)
def test_what_is_special_about_a_row_is_told(change, shown):
    assert shown not in runtimes_doc.render([ROW], {})
    assert shown in runtimes_doc.render([{**ROW, **change}], {})


def test_a_check_of_a_stale_page_fails(tmp_path, monkeypatch, capsys):
    page = tmp_path / "runtimes.md"
    monkeypatch.setattr(runtimes_doc, "ROOT", tmp_path)
    monkeypatch.setattr(runtimes_doc, "PAGE", page)
    assert runtimes_doc.main(["--check"]) == 1
    assert not page.exists()
    assert runtimes_doc.main([]) == 0
    assert runtimes_doc.main(["--check"]) == 0
    page.write_text("other", encoding="utf-8")
    assert runtimes_doc.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().out


def test_what_is_still_to_be_measured_of_a_row_that_runs_without_accelerators_is_told():
    title = "## Still to be measured"
    whole = dict.fromkeys(runtimes_doc.FIGURES, 1)
    some = dict.fromkeys(("image_bytes", "latency_ms"), 1)
    told = "\n- **PyTorch/torch9-python3.11**: build s, test s\n"
    assert told in runtimes_doc.render([ROW], {"PyTorch/torch9-python3.11": some}).partition(title)[2]
    assert title not in runtimes_doc.render([ROW], {"PyTorch/torch9-python3.11": whole})
    for change in ({"devices": ["gpu"]}, {"architectures": ["aarch64"]}):
        assert title not in runtimes_doc.render([{**ROW, **change}], {})


def test_only_rows_of_the_catalogue_were_measured():
    known = {f"{path.parent.name}/{path.stem}" for path in runtimes_doc.CATALOGUE.glob("*/*.yaml")}
    document = yaml.safe_load(runtimes_doc.MEASURED.read_text(encoding="utf-8"))
    assert set(document) <= known
    assert runtimes_doc.MEASURED.read_text(encoding="utf-8") == measured_runtimes.render(document)


def test_a_figure_takes_the_place_of_the_older_one_and_leaves_the_others(tmp_path):
    path = tmp_path / "measured.yaml"
    path.write_text("B/x:\n  build_s: 9\n", encoding="utf-8")
    measured_runtimes.record("B/x", {"image_bytes": 7, "test_s": 1.5}, path)
    measured_runtimes.record("A/y", {"latency_ms": 0.25}, path)
    measured_runtimes.record("B/x", {"test_s": 2}, path)
    assert path.read_text(encoding="utf-8") == (
        f"{measured_runtimes.HEAD}A/y:\n  latency_ms: 0.25\nB/x:\n  image_bytes: 7\n  build_s: 9\n  test_s: 2\n"
    )
    with pytest.raises(ValueError, match="unknown figures"):
        measured_runtimes.record("B/x", {"mood": 1}, path)
