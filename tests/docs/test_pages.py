"""The site has every page, its generated parts are whole, and its examples load."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from conf import upgrade
from conf.errors import InputError
from conf.settings.model_file import Model
from conf.settings.run_file import Settings
from docs.generate import __main__ as site
from docs.generate import refusals, settings
from tests.docs.pages import DOCS, blocks

NAVIGATION = Path("mkdocs.yml").read_text()


def test_every_page_has_its_place_in_the_navigation():
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert set(re.findall(r"[\w./-]+\.md", NAVIGATION.partition("\nnav:")[2])) == written


def test_every_generated_part_stands_in_one_page():
    asked = [name for path in DOCS.rglob("*.md") for name in re.findall(r"<!-- generate: (.*) -->", path.read_text())]
    assert sorted(asked) == sorted(site.PARTS)


def test_the_site_has_the_source_of_what_its_pages_name():
    pages = site.pages()
    assert "](../source/trainer/parts/mvke.py.md#VirtualKernelExperts.forward)" in pages["papers/mvke.md"]
    assert (
        "### `VirtualKernelExperts.forward` { #VirtualKernelExperts.forward }"
        in pages["source/trainer/parts/mvke.py.md"]
    )
    assert not [uri for uri, text in pages.items() if "<!-- generate" in text]


@pytest.mark.parametrize("file", [Settings, Model], ids=["run file", "model file"])
def test_every_key_has_a_meaning(file):
    found = list(settings.keys(TypeAdapter(file).json_schema()))
    assert len(found) > 20
    assert [key for key, schema, _ in found if not schema.get("description")] == []


def test_a_key_is_shown_with_type_default_and_bounds():
    page = settings.run_file()
    row = next(line for line in page.splitlines() if line.startswith("| `max_churn`"))
    assert row.split(" | ")[2:] == ["number", "`0.6`", "≥ 0, ≤ 1 |"]


def test_every_refusal_says_what_is_wrong():
    found = list(refusals.refusals())
    assert len(found) > 50
    assert any(refusal.what == "there is no model '…'" for refusal in found)


def test_the_model_files_of_choose_a_model_load():
    examples = [block.text for block in blocks(DOCS / "how-to" / "choose-a-model.md") if block.language == "toml"]
    made = [TypeAdapter(Model).validate_python(tomllib.loads(text)) for text in examples]
    assert [(model.family, model.sharing.kind) for model in made] == [
        ("ranker", "mmoe"),
        ("ranker", "hard"),
        ("tagger", "mvke"),
    ]


def test_every_folder_that_the_architecture_names_exists():
    named = re.findall(r"`([a-z_/]+/)`", (DOCS / "ARCHITECTURE.md").read_text())
    missing = {folder for folder in named if not Path(folder).is_dir()}
    assert missing == {"_rounds/"}  # in the lake


def test_the_upgrade_page_names_every_changed_key_and_its_examples_are_refused_and_load():
    page = DOCS / "how-to" / "upgrade.md"
    text = page.read_text()
    run_keys = [f"[{section}] {key}" for section, key in (name.split(".") for name in upgrade.RUN_KEYS)]
    changed = [*run_keys, *upgrade.RUN_KEYS.values(), *upgrade.MODELS, *upgrade.MODELS.values(), *upgrade.MODEL_KEYS]
    assert [key for key in changed if key not in text] == []
    before, after, tagger_before, tagger_after = (tomllib.loads(b.text) for b in blocks(page) if b.language == "toml")
    for declared in (before, tagger_before):
        with pytest.raises(InputError, match=r"written for sparsetag 0\.1"):
            upgrade.refuse_old_model_file(Path("model.toml"), declared)
    for declared in (after, tagger_after):
        upgrade.refuse_old_model_file(Path("model.toml"), declared)
        TypeAdapter(Model).validate_python(declared)


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", Path("README.md").read_text())
    assert len(links) > 20
    assert [link for link in links if not Path(link).exists()] == []
