"""The lessons: how they are built, and that what they show is kept; pytest executes them too."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
BOOKS = {path.stem: nbformat.read(path, 4) for path in sorted(FOLDER.glob("*.ipynb"))}
FIGURE = "application/vnd.plotly.v1+json"
LARGEST = 1_000_000
"""Bytes of a notebook: plotly's own code would be 4 MB."""

each = pytest.mark.parametrize("name", BOOKS)


def code_cells(name):
    return [cell for cell in BOOKS[name].cells if cell.cell_type == "code"]


def text(name):
    return "\n".join(cell.source for cell in BOOKS[name].cells if cell.cell_type == "markdown")


def sections(name):
    """The cells below each heading, the title's first."""
    found = []
    for cell in BOOKS[name].cells:
        if cell.cell_type == "markdown" and re.match(r"##? ", cell.source):
            found.append([])
        found[-1].append(cell)
    return found


@pytest.mark.parametrize("page", ["README.md", "docs/lessons.md"])
def test_pages_list_all_lessons_in_one_order(page):
    linked = re.findall(r"notebooks/(\w+)\.ipynb\)", (ROOT / page).read_text())
    listed = list(dict.fromkeys(linked))
    assert sorted(listed) == sorted(BOOKS)
    there = re.findall(r"notebooks/(\w+)\.ipynb\)", (ROOT / "docs/lessons.md").read_text())
    assert listed == there


@each
def test_a_lesson_has_question_experiment_reading_and_exercise(name):
    title, *others = sections(name)
    assert title[0].source.startswith("# ") and "\n**Question.** " in title[0].source
    assert others[-1][0].source.startswith("## Exercises\n\n1. ")
    experiments = [cells for cells in others if cells[0].source.startswith("## Experiment")]
    drawn = [cells for cells in experiments if any(map(figures, cells))]
    assert drawn
    for cells in drawn:
        read = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert any(source.startswith("**Reading.** ") for source in read)


def figures(cell):
    outputs = cell.get("outputs", ())
    return [output.data for output in outputs if FIGURE in output.get("data", ())]


@each
def test_a_section_with_code_shows_something(name):
    for cells in sections(name):
        code = [cell for cell in cells if cell.cell_type == "code"]
        defines = all(re.match(r"(from|import|def|@|class) ?", cell.source) for cell in code)
        assert defines or any(cell.outputs for cell in code), cells[0].source


@each
def test_what_promises_a_page_shows_it(name):
    for cell in code_cells(name):
        if "irl_lens.explore(" in cell.source:
            shown = [output.data.get("text/html", "") for output in cell.outputs]
            assert any("<iframe" in html for html in shown)


@each
def test_outputs_are_those_of_this_code(name):
    cells = code_cells(name)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    kinds = {output.get("name", output.output_type) for cell in cells for output in cell.outputs}
    assert not kinds & {"stderr", "error"}
    digest = runpy.run_path(str(FOLDER / "record.py"))["digest"]
    assert BOOKS[name].metadata["outputs_of"] == digest(BOOKS[name]), "run notebooks/record.py"


@each
def test_figures_are_kept_as_pictures_too_and_all_of_it_is_light(name):
    for cell in code_cells(name):
        for data in figures(cell):
            assert data["image/png"].startswith("iVBOR")
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST


@each
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(name))
    assert not [link for link in links if "://" not in link and not (FOLDER / link).exists()]


def test_pictures_are_added_to_figures_and_what_tells_of_the_machine_is_dropped():
    parts = runpy.run_path(str(FOLDER / "record.py"))
    new = nbformat.v4.new_output
    drawn = new("execute_result", {FIGURE: {"data": [], "layout": {}}})
    bars = new("display_data", {"text/html": "<pre>..</pre>"})
    warned, said = (new("stream", name=name, text="x") for name in ("stderr", "stdout"))
    cell = nbformat.v4.new_code_cell("figure", outputs=[bars, drawn, warned, said])
    parts["tidy"](nbformat.v4.new_notebook(cells=[cell]))
    assert cell.outputs == [drawn, said]
