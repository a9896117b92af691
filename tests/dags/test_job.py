import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest


def job(*arguments: str):
    from dags.job import JobOperator

    return JobOperator(task_id="job", module="tests.dags.echo", arguments=arguments)


def test_what_is_typed_reaches_the_job_as_one_word_and_no_shell(tmp_path):
    typed = f"2026-01-01; touch {tmp_path}/x $(touch {tmp_path}/x) `touch {tmp_path}/x`"

    said = job("0", "--day", typed).execute({})

    assert json.loads(said) == ["0", "--day", typed]
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_fails_for_good_and_shows_the_jobs_own_error_on_one_line():
    from airflow.sdk.exceptions import AirflowFailException

    from dags.job import JobOperator

    refused = JobOperator(task_id="job", module="trainer.generate_masks", arguments=["--config", "none.toml"])
    with pytest.raises(AirflowFailException, match=r"^none\.toml: this file does not exist; give --config [^\n]+$"):
        refused.execute({})


def test_a_wrong_command_line_is_a_refusal_with_the_last_line_of_its_usage():
    from airflow.sdk.exceptions import AirflowFailException

    from dags.job import JobOperator

    refused = JobOperator(task_id="job", module="trainer.generate_masks", arguments=["--confg", "conf/demo.toml"])
    with pytest.raises(AirflowFailException, match=r"^generate_masks\.py: error: .*--config"):
        refused.execute({})


def test_a_job_logs_json_whatever_the_environment_says(monkeypatch):
    from dags.job import JobOperator

    monkeypatch.setenv("SPARSETAG_LOG__FORMAT", "text")
    monkeypatch.setenv("SPARSETAG_TEST_EVENT", "1")
    last_line = JobOperator(task_id="job", module="tests.dags.echo", arguments=["0", "x"]).execute({})
    assert json.loads(last_line) | {"time": ""} == {"time": "", "level": "info", "event": "arguments", "n": 2}


def test_any_other_failure_may_be_tried_again():
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match="ended with exit code 3") as failure:
        job("3").execute({})
    assert not isinstance(failure.value, AirflowFailException)


def test_a_day_that_nobody_named_is_said_so():
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="--day has no value: give the run a logical date or the param"):
        job("0", "--day", "").execute({})


def test_a_task_that_is_ended_ends_its_job():
    from airflow.sdk.exceptions import AirflowException

    from dags.job import JobOperator

    operator = JobOperator(task_id="job", module="http.server", arguments=["0"])  # a job that does not end by itself
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(operator.execute, {})
        while operator._hook.sub_process is None:
            time.sleep(0.01)
        try:
            operator.on_kill()
            with pytest.raises(AirflowException, match="ended with exit code -15"):
                done.result(timeout=10)
        finally:
            operator._hook.sub_process.kill()
