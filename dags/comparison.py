"""The DAG of a comparison; `compare_models` and `compare_taggers` are the two."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from dags.job import DAY, JobOperator, default_args
from dags.run_file import CONFIG, models_of, settings, validation_day
from dags.schedule import midnight

NAME = {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "maxLength": 100}  # JSON schema of a comparison's name
DOC = """
### Compare several {what} over the same days and seeds

| task | what it publishes |
|---|---|
| `{dag_id}` | missing masks and daily models, then the table `comparisons/<name>` |

Each model is compared with `base`. Metrics are those of next-day predictions on the days from `from_day` to `to_day`:
mean over seeds, 95 % intervals from resampled users and seeds, and the difference to `base`. MLflow has them in the
experiment `comparison`, one run per model.

The days must be later than the one on which the masks were chosen, and their samples must be published (run `daily`, or
`generate_masks` with a longer range). Published results are left alone: a repeated run continues where it stopped.
Training many models over many seeds can take hours.
"""


def comparison(dag_id: str, *, module: str, what: str, family: str, models: Sequence[str], base: str, name: str) -> DAG:
    """models, base, name: defaults of the params."""
    run = settings()
    first = validation_day(run) + timedelta(days=1)
    known = models_of(family)
    some: dict[str, Any] = {"type": "array", "items": {"type": "string", "enum": known}, "examples": known}
    with DAG(
        dag_id,
        description=f"several {what} over the same days and seeds",
        doc_md=DOC.format(what=what, dag_id=dag_id),
        schedule=None,
        start_date=midnight(run.training.start),
        catchup=False,
        max_active_runs=1,
        params={
            "models": Param(
                list(models), **some, minItems=1, uniqueItems=True, description="models to compare, from conf/models"
            ),
            "base": Param(base, type="string", enum=known, description="model that the others are compared with"),
            "seeds": Param(5, type="integer", minimum=1, maximum=20, description="number of repetitions per model"),
            "from_day": Param(str(first), type="string", description="first day reported, YYYY-MM-DD", **DAY),
            "to_day": Param(
                str(run.daily.last or first), type="string", description="last day reported, YYYY-MM-DD", **DAY
            ),
            "name": Param(name, type="string", description="name of the result: comparisons/<name>", **NAME),
        },
        default_args=default_args(run),
        tags=["sparsetag"],
    ) as dag:
        JobOperator(
            task_id=dag_id,
            module=module,
            arguments=[
                *("--config", CONFIG, "--name", "{{ params.name }}", "--base", "{{ params.base }}"),
                *("--seeds", "{{ params.seeds }}", "--from", "{{ params.from_day }}", "--to", "{{ params.to_day }}"),
            ],
            lists={"--models": "models"},
        )
    return dag
