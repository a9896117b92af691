"""What a run looks like on the terminal: real log files as Airflow writes them, a scripted Airflow."""

import json

import pytest

from conf import log
from conf.errors import InputError
from dags.job_events import JobEvent, parse
from dags.local.progress import Progress, RunFailed

TASK = {"task_id": "build_samples", "try_number": 1, "dag_id": "daily", "dag_run_id": "run", "duration": 21.3}


class Script:
    """An Airflow whose one task goes through the given states, a poll each, while its log grows."""

    def __init__(self, logs, *polls: tuple[str, str, list[dict]]) -> None:
        self.log = logs / "dag_id=daily" / "run_id=run" / "task_id=build_samples" / "attempt=1.log"
        self.log.parent.mkdir(parents=True)
        self.polls = list(polls)

    def state(self, dag_id: str, run_id: str) -> str:
        run_state, self.task_state, entries = self.polls.pop(0)
        with self.log.open("a") as out:
            out.writelines(json.dumps(entry) + "\n" for entry in entries)
        return run_state

    def tasks(self, dag_id: str, run_id: str) -> list[dict]:
        return [{**TASK, "state": self.task_state}]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("dags.local.progress.POLL_S", 0)


def printed_by_job(line: str) -> dict:
    return {"timestamp": "2026-01-07T00:00:00Z", "level": "info", "event": line}


def event(level: str, message: str, /, **fields: object) -> dict:
    return printed_by_job(json.dumps({"time": "2026-01-07T00:00:00Z", "level": level, "event": message, **fields}))


def follow(tmp_path, *polls) -> None:
    Progress(Script(tmp_path, *polls), [], tmp_path, live=False).follow("daily", "run", "2026-01-07")


def lines(capsys) -> list[str]:
    """Without the seconds at the beginning."""
    return [line[line.index("]") + 1 :].strip() for line in capsys.readouterr().out.splitlines()]


def test_an_event_s_fields_may_have_any_name(tmp_path, capsys):
    """Pruning rounds carry the task whose mask is found, which is not the task of the DAG."""
    pruned = event("info", "pruning round finished", label="a", task="ctr", message="b", self="c")
    follow(tmp_path, ("running", "running", [pruned]), ("success", "success", []))
    shown = "pruning round finished  label=a task=ctr message=b self=c"
    assert f"2026-01-07  build_samples   {shown}" in lines(capsys)


def test_a_task_s_events_are_shown_once_with_day_task_message_and_fields(tmp_path, capsys):
    published = event("info", "samples published", day="2026-01-07", rows=30000)
    noise = [printed_by_job("WARN Utils: lower case"), printed_by_job('{"rows": 1}'), printed_by_job("12")]
    follow(
        tmp_path,
        ("running", "queued", []),
        ("running", "running", [{"event": "Pre task execution"}, *noise]),
        ("running", "running", [published]),
        ("success", "success", []),
    )
    assert lines(capsys) == [
        "2026-01-07  build_samples   started",
        "2026-01-07  build_samples   samples published  day=2026-01-07 rows=30,000",
        "2026-01-07  build_samples   done  seconds=21",
    ]


def test_a_refusal_is_shown_as_the_job_s_one_line(tmp_path):
    refusal = event("error", "no rows", where="lake/samples", hint="build them again")
    with pytest.raises(RunFailed) as failed:
        follow(tmp_path, ("running", "running", []), ("failed", "failed", [refusal, printed_by_job("Traceback")]))
    assert str(failed.value).splitlines() == [
        "daily 2026-01-07 failed (run run)",
        "build_samples: lake/samples: no rows; build them again",
    ]


def test_a_crash_is_shown_by_the_end_of_the_log(tmp_path):
    crash = [printed_by_job(f"line {n}") for n in range(100)]
    with pytest.raises(RunFailed) as failed:
        follow(tmp_path, ("running", "running", []), ("failed", "failed", crash))
    assert str(failed.value).splitlines()[1:3] == ["build_samples: end of its log", "line 70"]
    assert str(failed.value).splitlines()[-1] == "line 99"


def test_a_line_that_airflow_has_written_in_part_is_no_event(tmp_path, capsys):
    script = Script(tmp_path, ("running", "running", []), ("success", "success", []))
    script.log.write_text('{"timestamp": "2026-01-07T00:0\n')
    Progress(script, [], tmp_path, live=False).follow("daily", "run", "2026-01-07")
    assert lines(capsys) == ["2026-01-07  build_samples   started", "2026-01-07  build_samples   done  seconds=21"]


def test_what_conf_log_writes_is_what_is_read(capsys, logger_restored):
    log.configure("json")
    log.event("samples published", rows=2)
    log.error(InputError("no rows", where="lake", hint="build them"))
    read = [parse(line) for line in capsys.readouterr().err.splitlines()]
    assert read == [
        JobEvent("info", "samples published", {"rows": 2}),
        JobEvent("error", "no rows", {"where": "lake", "hint": "build them"}),
    ]
    assert [str(found) for found in read] == ["samples published  rows=2", "lake: no rows; build them"]


@pytest.mark.parametrize("line", ["", "samples published", "[1, 2]", '"text"', "{}", '{"event": "x"}', '{"time": '])
def test_other_output_is_no_event(line):
    assert parse(line) is None
