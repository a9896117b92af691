"""The comparisons, triggered by hand: `compare_models` for ranking models, `compare_taggers` for taggers."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from dags.job import DAY, JobOperator
from dags.run_file import CONFIG, models_of, settings, validation_day
from dags.schedule import midnight

SETTINGS = settings()
FIRST = validation_day(SETTINGS) + timedelta(days=1)
NAME = {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "maxLength": 100}
DOC = """
### Hold several {what} against each other on the same days and seeds

| task | what it publishes |
|---|---|
| `{dag_id}` | the masks and daily models that are not there yet, then `comparisons/<name>`: the table |

Each model is held against `base`. Metrics are of next-day predictions on the days from `from_day` to `to_day`, mean and
standard deviation over seeds, with a paired test; in MLflow under the experiment `comparison`, a run a model. The days
have to lie after the one that the masks were chosen on. What is published is left alone: a repeated run goes on where
it stopped, and training many models over many seeds may take hours. The samples must be there (`daily`, or
`generate_masks` with a longer range).
"""


def comparison(
    dag_id: str,
    module: str,
    what: str,
    models: Sequence[str],
    chosen: Sequence[str],
    base: str,
    name: str,
) -> DAG:
    known: dict[str, Any] = {"type": "array", "items": {"type": "string", "enum": models}, "examples": models}
    with DAG(
        dag_id,
        description=f"several {what} over the same days and seeds",
        doc_md=DOC.format(what=what, dag_id=dag_id),
        schedule=None,
        start_date=midnight(SETTINGS.training.start),
        catchup=False,
        max_active_runs=1,
        params={
            "models": Param(
                list(chosen), **known, minItems=1, uniqueItems=True, description="model files in conf/models"
            ),
            "base": Param(base, type="string", enum=models, description="the model the others are held against"),
            "seeds": Param(5, type="integer", minimum=1, maximum=20, description="repetitions"),
            "from_day": Param(str(FIRST), type="string", description="first day reported", **DAY),
            "to_day": Param(str(SETTINGS.daily.last or FIRST), type="string", description="last day reported", **DAY),
            "name": Param(name, type="string", description="name of the comparison", **NAME),
        },
        default_args={
            "owner": "sparsetag",
            "retries": SETTINGS.daily.retries,
            "retry_delay": timedelta(seconds=30),
        },
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


rankers = comparison(
    "compare_models",
    "trainer.compare_models",
    "ranking models",
    models_of("ranker"),
    ["single", "hard", "sparse_weight"],
    base="single",
    name="models",
)
taggers = comparison(
    "compare_taggers",
    "tagging.compare_taggers",
    "taggers",
    models_of("tagger"),
    ["two_tower", "mvke"],
    base="two_tower",
    name="taggers",
)
