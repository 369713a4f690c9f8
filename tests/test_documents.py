"""The Python of the documents runs as it stands, each document's snippets in order."""

import doctest
import re
import runpy
from pathlib import Path
from pkgutil import resolve_name

import pytest

from irl_lens.cli import main
from irl_lens.hooks import controller_kinds

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"```(python|pycon)\n(.*?)```", flags=re.DOTALL)
DOCUMENTS = [path for path in PAGES if BLOCK.search(path.read_text())]


def test_there_are_documents_to_run():
    assert {path.name for path in DOCUMENTS} >= {"README.md", "interventions.md", "world.md"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_document_runs(path, monkeypatch):
    # Kinds of controller that it defines are not known to other tests.
    monkeypatch.setattr("irl_lens.hooks.controllers.controller._KINDS", controller_kinds())
    names: dict[str, object] = {}
    for kind, block in BLOCK.findall(path.read_text()):
        if kind == "python":
            exec(compile(block, str(path), "exec"), names)
        else:
            check_session(block, names, path)


def check_session(block: str, names: dict[str, object], path: Path) -> None:
    """Runs a session of the interpreter, which must answer what is written."""
    test = doctest.DocTestParser().get_doctest(block, names, path.name, str(path), 0)
    test.globs = names  # not a copy: later blocks use them
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(test, clear_globs=False).failed == 0


def test_wrong_answers_in_a_session_are_seen():
    with pytest.raises(AssertionError):
        check_session(">>> 1 + 1\n3\n", {}, Path("page.md"))


def test_commands_and_options_that_are_shown_exist(capsys):
    shown = "".join(
        block.replace("\\\n", " ")
        for page in PAGES
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL)
    )
    asked: dict[str, set[str]] = {}
    for verb, rest in re.findall(r"irl-lens (\w+)([^\n#&|]*)", shown):
        asked.setdefault(verb, set()).update(re.findall(r"--[\w-]+", rest))
    assert {"run", "train", "sweep"} <= asked.keys()
    for verb, options in asked.items():
        with pytest.raises(SystemExit, match="0"):
            main([verb, "--help"])
        known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
        assert options <= known, f"irl-lens {verb}"


def test_every_command_and_no_other_is_on_its_page(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    known = re.search(r"\{(run,[\w,]+)\}", capsys.readouterr().out)
    page = (ROOT / "docs" / "command-line.md").read_text()
    shown = re.findall(r"^\| `irl-lens (\w+)", page, re.MULTILINE)
    assert known and sorted(shown) == sorted(known[1].split(","))


def test_the_code_that_the_paper_is_led_to_is_there():
    page = (ROOT / "docs" / "paper-to-code.md").read_text()
    names = re.findall(r"`(irl_lens\.[\w.]+)`", page)
    assert len(names) > 50
    for name in names:
        resolve_name(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (page.parent / link).exists()]


def test_every_finding_is_listed():
    listed = re.findall(
        r"^\| \[([\w.-]+)\]", (ROOT / "findings/README.md").read_text(), re.MULTILINE
    )
    assert listed == sorted(path.name for path in (ROOT / "findings").glob("*.sh"))


def test_the_picture_of_the_world_is_what_its_script_draws():
    drawn = runpy.run_path(str(ROOT / "docs" / "draw_world.py"))["draw"]()
    assert drawn == (ROOT / "docs" / "world.svg").read_text()


def test_an_environment_of_one_s_own_takes_less_than_eighty_lines():
    guide = (ROOT / "docs" / "bring-your-own-environment.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL))
    before = code[: code.index("import irl_lens\n")]
    assert "register_preset(replace" in before
    assert len([line for line in before.splitlines() if line.strip()]) < 80
