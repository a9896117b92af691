import copy
import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest

from dags.run_file import settings, validation_day
from tests.dags.conftest import PROJECT


def params_of(dag, given):
    """The params as Airflow resolves them at a trigger."""
    params = copy.deepcopy(dag.params)
    params.update(given)
    return params.validate()


def order(dag):
    return {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}


def test_the_dags_are_these(dags):
    assert set(dags) == {"daily", "generate_masks", "compare_models", "compare_taggers"}


def test_daily_makes_samples_masks_models_users_and_tags_in_order(dags):
    assert order(dags["daily"]) == {
        "build_samples": [],
        "generate_masks": ["build_samples"],
        "train_ranker": ["build_samples", "generate_masks"],
        "train_tagger": ["build_samples"],
        "build_users": ["build_samples"],
        "tag_users": ["build_users", "train_tagger"],
    }


def test_generate_masks_starts_with_the_samples(dags):
    assert order(dags["generate_masks"]) == {"build_samples": [], "generate_masks": ["build_samples"]}


@pytest.mark.parametrize("dag_id", ["compare_models", "compare_taggers"])
def test_a_comparison_is_one_job(dags, dag_id):
    assert order(dags[dag_id]) == {dag_id: []}
    assert dags[dag_id].schedule is None  # by hand only


def test_a_tagger_under_masks_waits_for_them_too():
    script = "import dags.daily as d; print(sorted(d.dag.get_task('train_tagger').upstream_task_ids))"
    assert _python(script, SPARSETAG_TAGGER__MODEL="two_tower_sparse") == "['build_samples', 'generate_masks']"


def test_a_ranker_without_masks_has_no_mask_task():
    script = "import dags.daily as d; print(sorted(d.dag.task_ids))"
    said = _python(script, SPARSETAG_RANKER__MODEL="single")
    assert said == "['build_samples', 'build_users', 'tag_users', 'train_ranker', 'train_tagger']"


@pytest.mark.parametrize("dag_id", ["daily", "generate_masks", "compare_models", "compare_taggers"])
def test_policy(dags, dag_id):
    dag = dags[dag_id]
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.doc_md.strip().startswith("### ")
    assert {task.owner for task in dag.tasks} == {"sparsetag"}
    assert {task.retries for task in dag.tasks} == {settings().daily.retries}
    assert {task.task_type for task in dag.tasks} == {"JobOperator"}


def test_a_failed_day_does_not_keep_the_next_one_from_starting(dags, database, tmp_path, monkeypatch, capfd):
    """Both days are refused by their own job, since the lake is empty: so both were started."""
    assert not any(task.depends_on_past for task in dags["daily"].tasks)  # else the second run below never ends
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path))

    for day in (3, 4):
        run = dags["daily"].test(logical_date=datetime(2026, 1, day, tzinfo=UTC))
        tasks = {task.task_id: task for task in run.get_task_instances()}
        assert run.state == "failed"
        assert (tasks["build_samples"].state, tasks["build_samples"].try_number) == ("failed", 1)
        assert {task.state for name, task in tasks.items() if name != "build_samples"} == {"upstream_failed"}
        printed = "".join(capfd.readouterr())
        assert f"--from 2026-01-01 --to 2026-01-0{day - 1}" in printed  # the hint: the days to build first
    assert list(tmp_path.iterdir()) == []


def first_run(schedule, catchup):
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    restriction = TimeRestriction(earliest=datetime(2026, 1, 1, tzinfo=UTC), latest=None, catchup=catchup)
    return coerce_to_core_timetable(schedule).next_dagrun_info(
        last_automated_data_interval=None, restriction=restriction
    )


def test_a_run_works_on_the_day_that_has_just_ended():
    from dags.schedule import timetable

    endless = settings().daily.model_copy(update={"last": None})
    run = first_run(timetable(settings().model_copy(update={"daily": endless})), catchup=True)
    assert (run.logical_date, run.run_after) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def test_a_closed_data_set_has_a_run_for_each_of_its_days_and_none_today(dags):
    schedule = dags["daily"].timetable
    assert schedule.event_dates == [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 10)]
    assert first_run(schedule, catchup=True).logical_date == datetime(2026, 1, 1, tzinfo=UTC)
    assert first_run(schedule, catchup=False) is None


def test_a_run_triggered_after_the_last_day_has_tasks(dags):
    # Airflow leaves out the tasks of a run whose logical date lies after an end date, and calls the run succeeded
    assert [dags["daily"].end_date, *(task.end_date for task in dags["daily"].tasks)] == [None] * 7


def test_parsing_is_quick_and_imports_nothing_heavy():
    script = (
        "import sys, time, dags.daily, dags.generate_masks, dags.compare_models, dags.compare_taggers; heavy = "
        "['pyspark', 'torch', 'mlflow', 'petastorm', 'pyarrow', 'pandas', 'etl', 'trainer', 'tagging']; "
        "print(time.process_time() < 10, [m for m in heavy if m in sys.modules])"  # some 2 s; Airflow gives up at 30
    )
    assert _python(script) == "True []"


NOT_DAYS = ["2026-01-01; touch /tmp/x", "$(date)", "2026-02-30", "20260101", "2026-1-1", "2026-01-01 ", "today", "", 5]


DAY_PARAMS = pytest.mark.parametrize(
    ("dag_id", "param"),
    [
        ("daily", "day"),
        ("generate_masks", "from_day"),
        ("generate_masks", "to_day"),
        ("compare_models", "from_day"),
        ("compare_models", "to_day"),
    ],
)


@pytest.mark.parametrize("typed", NOT_DAYS)
@DAY_PARAMS
def test_what_is_no_day_is_refused_at_the_trigger(dags, dag_id, param, typed):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        params_of(dags[dag_id], {param: typed})


@DAY_PARAMS
def test_a_form_that_knows_no_formats_refuses_what_does_not_look_like_a_day(dags, dag_id, param):
    pattern = dags[dag_id].params.get_param(param).schema["pattern"]
    assert [typed for typed in NOT_DAYS if re.search(pattern, str(typed))] == ["2026-02-30"]


def test_the_day_is_the_param_or_the_runs_own(dags):
    task = dags["daily"].get_task("build_samples")

    def arguments(**context):
        return task.render_template(task.arguments, context)

    config = ["--config", "conf/demo.toml", "--day"]
    assert arguments(params=params_of(dags["daily"], {}), ds="2026-01-07") == [*config, "2026-01-07"]
    assert arguments(params=params_of(dags["daily"], {"day": "2026-01-08"}), ds="2026-01-07")[-1] == "2026-01-08"
    assert arguments(params=params_of(dags["daily"], {"day": "2026-01-08"}))[-1] == "2026-01-08"
    assert arguments(params=params_of(dags["daily"], {}))[-1] == ""


def test_generate_masks_covers_the_training_days_and_the_validation_day(dags):
    task = dags["generate_masks"].get_task("build_samples")
    rendered = task.render_template(task.arguments, {"params": params_of(dags["generate_masks"], {})})
    assert rendered == ["--config", "conf/demo.toml", "--from", "2026-01-01", "--to", "2026-01-06"]
    assert validation_day(settings()) == date(2026, 1, 6)


@pytest.mark.parametrize(
    "typed",
    [
        {"models": []},
        {"models": ["single", "single"]},
        {"models": ["single; touch /tmp/x"]},
        {"models": ["--force"]},
        {"models": ["mvke"]},
        {"models": "single"},
        {"base": "mvke"},
        {"seeds": 0},
        {"seeds": 21},
        {"seeds": "5"},
        {"seeds": 2.5},
        {"name": "../models"},
        {"name": "--force"},
        {"name": ""},
    ],
    ids=str,
)
def test_what_compare_models_cannot_do_is_refused_at_the_trigger(dags, typed):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        params_of(dags["compare_models"], typed)


@pytest.mark.parametrize(("dag_id", "family"), [("compare_models", "ranker"), ("compare_taggers", "tagger")])
def test_every_model_of_conf_can_be_compared_with_its_like(dags, dag_id, family):
    from airflow.sdk.exceptions import ParamValidationError

    from conf.load import MODELS, load_model

    families = {path.stem: load_model(path.stem).family for path in MODELS.glob("*.toml")}
    names = sorted(name for name in families if families[name] == family)
    assert params_of(dags[dag_id], {"models": names})["models"] == names
    with pytest.raises(ParamValidationError):
        params_of(dags[dag_id], {"models": [next(name for name in families if families[name] != family)]})


def test_each_value_typed_for_compare_models_is_one_argument(dags, monkeypatch):
    dag = dags["compare_models"]
    task = copy.deepcopy(dag.get_task("compare_models"))
    given = {"models": ["hard", "esm2"], "seeds": 3, "to_day": "2026-01-08", "name": "night"}
    context = {"params": params_of(dag, given)}
    task.arguments = task.render_template(task.arguments, context)
    task.module = "tests.dags.echo"
    task.arguments.insert(0, "0")
    assert json.loads(task.execute(context)) == [
        "0", "--config", "conf/demo.toml", "--name", "night", "--base", "single", "--seeds", "3",
        "--from", "2026-01-07", "--to", "2026-01-08", "--models", "hard", "esm2",
    ]  # fmt: skip


def test_a_refused_job_fails_its_task_at_the_first_try(dags, database, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path))

    run = dags["generate_masks"].test(run_conf={"from_day": "2026-01-05", "to_day": "2026-01-02"})

    tasks = {task.task_id: task for task in run.get_task_instances()}
    assert (tasks["build_samples"].state, tasks["build_samples"].try_number) == ("failed", 1)
    assert tasks["build_samples"].max_tries == 1
    assert tasks["generate_masks"].state == "upstream_failed"
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_really_reaches_its_job_which_refuses_days_that_chose_the_masks(
    dags, database, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path))

    run = dags["compare_models"].test(run_conf={"models": ["hard", "sparse_weight"], "from_day": "2026-01-06"})

    (task,) = run.get_task_instances()
    assert (task.state, task.try_number) == ("failed", 1)
    printed = "".join(capfd.readouterr())
    assert "AirflowFailException: --from: the masks of sparse_weight are chosen on days up to" in printed
    assert list(tmp_path.iterdir()) == []


def _python(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]
