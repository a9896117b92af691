"""Events and errors are one line each, as text or as JSON."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from conf import cli, log
from conf.errors import InputError

pytestmark = pytest.mark.usefixtures("logger_restored")


def refuse():
    raise InputError("no rows", where=Path("lake/samples"), hint="build them again")


def test_an_event_as_text_has_its_fields_behind_the_message(capsys):
    log.configure("text")
    log.event("samples published", day=date(2026, 1, 1), rows=30000, loss=0.123456, forced=True, why="a b", note="")
    line = capsys.readouterr().err
    assert re.match(r"\d\d:\d\d:\d\d ", line)
    assert line[9:] == 'samples published  day=2026-01-01 rows=30,000 loss=0.1235 forced=true why="a b" note=""\n'


def test_an_event_as_json_keeps_the_types_of_its_fields(capsys):
    log.configure("json")
    log.event("samples published", day=date(2026, 1, 1), rows=30000, loss=0.5, forced=True)
    entry = json.loads(capsys.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("time"))
    assert entry == {
        "level": "info", "event": "samples published", "day": "2026-01-01", "rows": 30000, "loss": 0.5, "forced": True,
    }  # fmt: skip


def test_a_warning_says_so(capsys):
    log.configure("text")
    log.warning("tags retired but unknown", tags="t1")
    log.configure("json")
    log.warning("tags retired but unknown", tags="t1")
    text, as_json = capsys.readouterr().err.splitlines()
    assert text[9:] == "warning: tags retired but unknown  tags=t1"
    assert json.loads(as_json)["level"] == "warning"


def test_an_event_of_many_lines_is_one_line(capsys):
    log.configure("text")
    log.event("first\nsecond", table="a\nb")
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_as_text_says_where_what_and_how_to_fix_it(capsys, monkeypatch):
    monkeypatch.delenv("SPARSETAG_LOG__FORMAT", raising=False)
    with pytest.raises(SystemExit) as ended:
        cli.run(refuse)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: lake/samples: no rows; build them again\n"


def test_an_error_as_json_has_what_where_and_hint_even_before_the_run_file_is_read(capsys, monkeypatch):
    monkeypatch.setenv("SPARSETAG_LOG__FORMAT", "json")
    with pytest.raises(SystemExit) as ended:
        cli.run(refuse)
    assert ended.value.code == 2
    entry = json.loads(capsys.readouterr().err)
    del entry["time"]
    assert entry == {"level": "error", "event": "no rows", "where": "lake/samples", "hint": "build them again"}


def test_the_run_file_says_how_events_look(capsys, tmp_path):
    run_file = tmp_path / "json.toml"
    run_file.write_text(Path("conf/demo.toml").read_text() + '[log]\nformat = "json"\n')

    def job():
        cli.load(cli.parser("A job.").parse_args(["--config", str(run_file)]))
        log.event("started")

    cli.run(job)

    assert json.loads(capsys.readouterr().err)["event"] == "started"


def test_a_root_handler_of_a_library_does_not_repeat_events(capsys, caplog):
    log.configure("text")
    log.event("once")
    assert caplog.records == []
    assert capsys.readouterr().err.count("once") == 1
