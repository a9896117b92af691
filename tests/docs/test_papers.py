"""Every equation of a paper has its place on the paper's page, and every name on a page exists."""

import re
from pathlib import Path

import pytest

from docs.generate import source
from tests.docs.pages import DOCS, PAGES

# paper -> numbered equations, lines of Algorithm 1
EQUATIONS = {"LT4REC": (3, 19), "ESM2": (17, 0), "MVKE": (9, 0), "AdaptDHM": (9, 8)}
HEADING = re.compile(r"^### (\w+) (eq\.|Algorithm 1, lines?) (\d+)(?: (?:and|to) (\d+))?:", re.MULTILINE)


def page_of(paper: str) -> Path:
    return DOCS / "papers" / f"{paper.lower()}.md"


def numbers(paper: str, what: str) -> list[int]:
    """The equations, or the lines of Algorithm 1, that headings of the page name."""
    found = [match for match in HEADING.findall(page_of(paper).read_text()) if match[1].startswith(what)]
    assert {match[0] for match in found} <= {paper}
    return [n for _, _, first, last in found for n in range(int(first), int(last or first) + 1)]


@pytest.mark.parametrize("paper", EQUATIONS)
def test_every_equation_and_line_of_a_paper_has_one_heading(paper):
    equations, lines = EQUATIONS[paper]
    assert sorted(numbers(paper, "eq.")) == list(range(1, equations + 1))
    assert sorted(numbers(paper, "Algorithm")) == list(range(1, lines + 1))


@pytest.mark.parametrize("paper", EQUATIONS)
def test_every_equation_names_its_code_or_says_that_there_is_none(paper):
    sections = re.split(r"^### ", page_of(paper).read_text(), flags=re.MULTILINE)[1:]
    assert sections
    for section in sections:
        section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
        code = section.partition("- Code: ")[2]
        assert list(source.names_in(code)) or "Not implemented" in section, section.splitlines()[0]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_function_and_class_that_a_page_names_exists(page):
    assert [problem for name in source.names_in(page.read_text()) if (problem := source.problem(name))] == []


def test_a_page_that_names_nothing_real_is_noticed():
    wrong = list(source.names_in("`trainer/seeding.py::generate` and `conf/models/none.toml`, `trainer/seeding.py`"))
    assert [source.problem(name) for name in wrong] == [
        "trainer/seeding.py has no generate", "there is no file conf/models/none.toml", None,
    ]  # fmt: skip


def test_every_model_file_has_its_place_on_a_page_of_a_paper():
    named = {name.path for paper in EQUATIONS for name in source.names_in(page_of(paper).read_text())}
    assert {str(path) for path in Path("conf/models").glob("*.toml")} - named == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_an_equation_is_never_named_without_its_paper(page):
    bare = re.findall(r"(?<!LT4REC )(?<!ESM2 )(?<!MVKE )(?<!AdaptDHM )(?<!\w)[Ee]q\. ?\d+", page.read_text())
    assert bare == []
