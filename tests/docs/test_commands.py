"""Every command of README and docs/ is one that exists, takes these arguments, and is run by a test or is a target."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from conf.settings.run_file import Settings
from docs.generate.commands import JOBS, parser_of
from tests.docs.pages import DOCS, PAGES, blocks, prose

LANGUAGES = {"sh", "text", "toml", "python", "sql"}
# job -> the test that runs its main(); the tutorial runs the others from the command line
RUN_BY = dict.fromkeys(JOBS, "tests/docs/test_tutorial.py") | {
    "trainer.compare_models": "tests/trainer/test_compare_models.py",
    "tagging.compare_taggers": "tests/tagging/test_compare_taggers.py",
}
# files of the reader's own, which a page tells them to write
OWN_FILES = {"mine.toml", "shop.toml"}


def commands(page: Path) -> list[str]:
    """Every line of every sh block, continued lines joined, comments left out."""
    lines = [
        line
        for block in blocks(page)
        if block.language == "sh"
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    return [command for line in lines if (command := line.split(" #")[0].strip())]


ALL = sorted({(str(page), command) for page in PAGES for command in commands(page)})


@pytest.mark.parametrize(("page", "command"), ALL, ids=lambda value: value[:60])
def test_a_command_exists_and_takes_its_arguments(page, command):
    words = shlex.split(command)
    if words[0] == "export":
        words = words[1:]
    while words and re.match(r"^[A-Z_]+=", words[0]):
        check_variable(words.pop(0).split("=")[0])
    if not words:
        return
    if words[:1] == ["make"]:
        targets = re.findall(r"^([a-z]+):.*## ", Path("Makefile").read_text(), re.MULTILINE)
        assert words[1:] and set(words[1:]) <= set(targets)
    elif words[:2] == ["python", "-m"]:
        check_module(words[2], words[3:])
    else:
        # the tutorial's own script, which its test runs
        assert page == "docs/tutorial.md" and command == "python make_log.py"


def check_variable(name: str) -> None:
    """SPARSETAG_<SECTION>__<KEY> must be a key of some kind of that section."""
    if name == "SPARSETAG_CONFIG":
        return
    section, _, key = name.removeprefix("SPARSETAG_").lower().partition("__")
    assert key in keys(Settings.model_fields[section].annotation), name


def keys(annotation: Any) -> set[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return set(annotation.model_fields)
    return {key for option in getattr(annotation, "__args__", ()) for key in keys(option)}


def check_module(module: str, arguments: list[str]) -> None:
    if module in JOBS:
        given = parser_of(module).parse_args(arguments)
        assert Path(given.config).is_file() or given.config in OWN_FILES
        models = [*(getattr(given, "models", None) or []), getattr(given, "base", None), getattr(given, "model", None)]
        assert all(Path(f"conf/models/{model}.toml").is_file() for model in models if model)
    elif module == "pytest":
        assert all(Path(argument).exists() for argument in arguments)
    else:
        source = Path(module.replace(".", os.sep)).with_suffix(".py").read_text() + Path("conf/cli.py").read_text()
        assert module.startswith(("tests.bench.", "tests.test_structure"))
        assert all(f'"{argument}"' in source for argument in arguments if argument.startswith("--"))


def test_every_job_is_run_by_a_test():
    for module, test in RUN_BY.items():
        assert module.split(".")[-1] in Path(test).read_text() or "commands" in Path(test).read_text(), test
    run = "\n".join(commands(DOCS / "tutorial.md"))
    by_tutorial = {module for module, test in RUN_BY.items() if test.startswith("tests/docs")}
    assert {module for module in JOBS if f"python -m {module} " in run} == by_tutorial


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_says_its_language_and_no_command_hides_outside_of_one(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert re.findall(r"^(?: {4,}|\$ )(?:python|make|sparsetag|pip|export) .*$", prose(page), re.MULTILINE) == []


def test_an_unknown_command_is_noticed():
    with pytest.raises(AssertionError):
        test_a_command_exists_and_takes_its_arguments("docs/index.md", "make nothing")
    with pytest.raises(SystemExit):
        check_module("tagging.tag_users", ["--config", "conf/demo.toml", "--days", "2026-01-07"])
    with pytest.raises(AssertionError):
        check_variable("SPARSETAG_SOURCE__PLACE")
