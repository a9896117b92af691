"""
### Start from the history: find the task masks, once

| task | what it publishes |
|---|---|
| `build_samples` | `samples/dt=D` of every day from `from_day` to `to_day`, in one Spark job |
| `generate_masks` | `masks/.../<version>`, where models use them: LT4REC's Algorithm 1, a task's best pruning round |

The params default to the days that the run file asks for: `[masks] train_days` days from `[training] start`, and
the day after them, on which the rounds are compared. Finished rounds are kept: a repeated run goes on from there.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from dags.job import DAY, JobOperator
from dags.run_file import CONFIG, settings, validation_day
from dags.schedule import midnight

SETTINGS = settings()

with DAG(
    "generate_masks",
    description="samples of the history and the task masks",
    doc_md=__doc__,
    schedule=None,
    start_date=midnight(SETTINGS.training.start),
    catchup=False,
    max_active_runs=1,
    params={
        "from_day": Param(str(SETTINGS.training.start), type="string", description="first day", **DAY),
        "to_day": Param(str(validation_day(SETTINGS)), type="string", description="last day", **DAY),
    },
    default_args={
        "owner": "sparsetag",
        "retries": SETTINGS.daily.retries,
        "retry_delay": timedelta(seconds=30),
    },
    tags=["sparsetag"],
) as dag:
    common = ["--config", CONFIG]
    build_samples = JobOperator(
        task_id="build_samples",
        module="etl.build_samples",
        arguments=[*common, "--from", "{{ params.from_day }}", "--to", "{{ params.to_day }}"],
    )
    generate_masks = JobOperator(task_id="generate_masks", module="trainer.generate_masks", arguments=common)
    build_samples >> generate_masks
