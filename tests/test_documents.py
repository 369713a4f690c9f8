"""The Python of the documents runs as it stands, each document's snippets in order."""

import re
from pathlib import Path

import pytest

from irl_lens.hooks import controller_kinds

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if "```python" in path.read_text()
]


def test_there_are_documents_to_run():
    assert {path.name for path in DOCUMENTS} >= {"README.md", "interventions.md"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_document_runs(path, monkeypatch):
    # Kinds of controller that it defines are not known to other tests.
    monkeypatch.setattr("irl_lens.hooks.controllers.controller._KINDS", controller_kinds())
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL):
        exec(compile(block, str(path), "exec"), names)


def test_an_environment_of_one_s_own_takes_less_than_eighty_lines():
    guide = (ROOT / "docs" / "bring-your-own-environment.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL))
    before = code[: code.index("import irl_lens\n")]
    assert "register_preset(replace" in before
    assert len([line for line in before.splitlines() if line.strip()]) < 80
