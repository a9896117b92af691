"""
### Start from the history: find the task masks, once

| task | what it publishes |
|---|---|
| `build_samples` | `samples/dt=D` of every day from `from_day` to `to_day`, in one Spark job |
| `generate_masks` | `masks/.../<version>`, if models use them: for each task, LT4REC Algorithm 1's best round |

By default the params are the days that the run file asks for: `[masks] train_days` days from `[training] start`, and
the day after them, on which the rounds are compared. Finished rounds are kept: a repeated run continues from there.
"""

from airflow.sdk import DAG, Param

from dags.job import DAY, JobOperator, default_args
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
        "from_day": Param(
            str(SETTINGS.training.start), type="string", description="first day to build, YYYY-MM-DD", **DAY
        ),
        "to_day": Param(
            str(validation_day(SETTINGS)), type="string", description="last day to build, YYYY-MM-DD", **DAY
        ),
    },
    default_args=default_args(SETTINGS),
    tags=["sparsetag"],
) as dag:
    build_samples = JobOperator(
        task_id="build_samples",
        module="etl.build_samples",
        arguments=["--config", CONFIG, "--from", "{{ params.from_day }}", "--to", "{{ params.to_day }}"],
    )
    generate_masks = JobOperator(
        task_id="generate_masks", module="trainer.generate_masks", arguments=["--config", CONFIG]
    )
    build_samples >> generate_masks
