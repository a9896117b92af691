"""
### Learn from the day that has just ended, then tag every user anew

| task | what it publishes |
|---|---|
| `build_samples` | `samples/dt=D`: impressions joined with what followed them, and `vocabulary/dt=D` |
| `generate_masks` | `masks/.../<version>`: once; there already on every other day |
| `train_ranker`, `train_tagger` | `predictions/.../dt=D` made before the day is trained on, then `models/.../dt=D` |
| `build_users` | `users/dt=D`: all users to tag |
| `tag_users` | `user_tags/dt=D`: each user's best tags by interest and intention |
| | `profiles/dt=D`: both lists of a user in one row; `audience/dt=D`: for each tag the users to target |
| | `profile_diff/dt=D`: what changed since the day before |

Days run in order and one at a time, since every model starts from the one of the day before. A day that is
published is left alone, so a cleared or repeated run continues where it stopped. A refused input (exit code 2)
fails at once; any other failure is tried again as often as `[daily] retries` says.

`tag_users` refuses a day on which too many users lose their tags (`[tagging] max_churn`, `min_coverage_ratio`): its log
and its MLflow run say what changed. To publish nevertheless, run the job by hand as the log says, then clear the task.

**By hand**: trigger it with the param `day` (YYYY-MM-DD), or backfill a range of days.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, chain

from dags.job import DAY, JobOperator
from dags.run_file import CONFIG, masks_wanted, settings
from dags.schedule import midnight, timetable

SETTINGS = settings()
D = "{{ params.day or (ds | default('', true)) }}"

with DAG(
    "daily",
    description="samples, ranker, tagger and tags of one day",
    doc_md=__doc__,
    schedule=timetable(SETTINGS),
    start_date=midnight(SETTINGS.training.start),
    catchup=False,
    max_active_runs=1,
    params={"day": Param(None, type=["null", "string"], description="the day; by default the run's own", **DAY)},
    default_args={
        "owner": "sparsetag",
        "depends_on_past": True,
        "retries": SETTINGS.daily.retries,
        "retry_delay": timedelta(seconds=30),
    },
    tags=["sparsetag"],
) as dag:
    common = ["--config", CONFIG]
    of_day = [*common, "--day", D]
    build_samples = JobOperator(task_id="build_samples", module="etl.build_samples", arguments=of_day)
    train_ranker = JobOperator(
        task_id="train_ranker", module="trainer.train_day", arguments=[*of_day, "--family", "ranker"]
    )
    train_tagger = JobOperator(
        task_id="train_tagger", module="trainer.train_day", arguments=[*of_day, "--family", "tagger"]
    )
    build_users = JobOperator(task_id="build_users", module="etl.build_users", arguments=of_day)
    tag_users = JobOperator(task_id="tag_users", module="tagging.tag_users", arguments=of_day)

    # what needs what, and no more: the two models train side by side, on a core each
    chain(build_samples, train_ranker)
    chain(build_samples, [train_tagger, build_users], tag_users)
    if wanted := masks_wanted(SETTINGS):
        generate_masks = JobOperator(task_id="generate_masks", module="trainer.generate_masks", arguments=common)
        trained = {"ranker": train_ranker, "tagger": train_tagger}
        chain(build_samples, generate_masks, [trained[section] for section in wanted])
