"""
### Learn from the day that has just ended, then tag every user again

| task | what it publishes |
|---|---|
| `build_samples` | `samples/dt=D`: impressions joined with the events that followed them; `vocabulary/dt=D` |
| `generate_masks` | `masks/.../<version>`: on the first day; later days find them published |
| `train_ranker`, `train_tagger` | `predictions/.../dt=D`, made before training on the day; then `models/.../dt=D` |
| `build_users` | `users/dt=D`: all users to tag |
| `tag_users` | `user_tags/dt=D`: each user's best tags by interest and intention |
| | `profiles/dt=D`: both lists of a user in one row; `audience/dt=D`: for each tag, the users to target |
| | `profile_diff/dt=D`: what changed since the day before |

Runs work one at a time. Published results are left alone, so a cleared or repeated run continues where it stopped.
Refused input (exit code 2) fails at once, with one line that says what is wrong and how to fix it. Other failures are
retried `[daily] retries` times.

**A failed day does not block the next one.** Jobs check their predecessors themselves, whatever Airflow knows of them:

| job | when the day before is missing |
|---|---|
| `build_samples` | refuses: the vocabulary of the day before is missing |
| `train_ranker`, `train_tagger` | train the missing days first, in order; refuse a day without samples |
| `build_users` | refuses when a day since `[training] start` has no samples |
| `tag_users` | compares with the last tagged day instead; refuses when the day has no users or no tagger |

Repair the failed day, clear its run, and then clear the later runs that were refused.

`tag_users` also refuses a day on which too many users lose their tags (`[tagging] max_churn`, `min_coverage_ratio`).
Its log and its MLflow run say what changed. To publish the day nevertheless, run the job by hand as the log says, then
clear the task.

**By hand**: trigger the DAG with the param `day` (YYYY-MM-DD), or backfill a range of days.
"""

from airflow.sdk import DAG, Param, chain

from dags.job import DAY, JobOperator, default_args
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
    params={
        "day": Param(
            None, type=["null", "string"], description="day to work on, YYYY-MM-DD; by default the run's own", **DAY
        )
    },
    default_args=default_args(SETTINGS),
    tags=["sparsetag"],
) as dag:
    config = ["--config", CONFIG]
    config_and_day = [*config, "--day", D]
    build_samples = JobOperator(task_id="build_samples", module="etl.build_samples", arguments=config_and_day)
    train_ranker = JobOperator(
        task_id="train_ranker", module="trainer.train_day", arguments=[*config_and_day, "--family", "ranker"]
    )
    train_tagger = JobOperator(
        task_id="train_tagger", module="trainer.train_day", arguments=[*config_and_day, "--family", "tagger"]
    )
    build_users = JobOperator(task_id="build_users", module="etl.build_users", arguments=config_and_day)
    tag_users = JobOperator(task_id="tag_users", module="tagging.tag_users", arguments=config_and_day)

    # only true dependencies, so that both models train at the same time
    chain(build_samples, train_ranker)
    chain(build_samples, [train_tagger, build_users], tag_users)
    if wanted := masks_wanted(SETTINGS):
        generate_masks = JobOperator(task_id="generate_masks", module="trainer.generate_masks", arguments=config)
        trained = {"ranker": train_ranker, "tagger": train_tagger}
        chain(build_samples, generate_masks, [trained[section] for section in wanted])
