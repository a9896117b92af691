"""
### Hold several ranking models against each other on the same days and seeds

| task | what it publishes |
|---|---|
| `compare_models` | the masks and daily models that are not there yet, then `comparisons/<name>`: the table |

Each model is held against `base`. Metrics are of next-day predictions on the days from `from_day` to `to_day`, mean and
standard deviation over seeds, with a paired test; in MLflow under the experiment `comparison`, a run a model. The days
have to lie after the one that the masks were chosen on. What is published is left alone: a repeated run goes on where
it stopped, and training many models over many seeds may take hours. The samples must be there (`daily`, or
`generate_masks` with a longer range).
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from dags.job import DAY, JobOperator
from dags.run_file import CONFIG, rankers, settings, validation_day
from dags.schedule import midnight

SETTINGS = settings()
RANKERS = rankers()
FIRST = validation_day(SETTINGS) + timedelta(days=1)
NAME = {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$", "maxLength": 100}

with DAG(
    "compare_models",
    description="several ranking models over the same days and seeds",
    doc_md=__doc__,
    schedule=None,
    start_date=midnight(SETTINGS.training.start),
    catchup=False,
    max_active_runs=1,
    params={
        "models": Param(
            ["single", "hard", "sparse_weight"],
            type="array",
            items={"type": "string", "enum": RANKERS},
            examples=RANKERS,
            minItems=1,
            uniqueItems=True,
            description="model files in conf/models",
        ),
        "base": Param("single", type="string", enum=RANKERS, description="the model the others are held against"),
        "seeds": Param(5, type="integer", minimum=1, maximum=20, description="repetitions"),
        "from_day": Param(str(FIRST), type="string", description="first day reported", **DAY),
        "to_day": Param(str(SETTINGS.daily.last or FIRST), type="string", description="last day reported", **DAY),
        "name": Param("models", type="string", description="name of the comparison", **NAME),
    },
    default_args={
        "owner": "sparsetag",
        "retries": SETTINGS.daily.retries,
        "retry_delay": timedelta(seconds=30),
    },
    tags=["sparsetag"],
) as dag:
    JobOperator(
        task_id="compare_models",
        module="trainer.compare_models",
        arguments=[
            *("--config", CONFIG, "--name", "{{ params.name }}", "--base", "{{ params.base }}"),
            *("--seeds", "{{ params.seeds }}", "--from", "{{ params.from_day }}", "--to", "{{ params.to_day }}"),
        ],
        lists={"--models": "models"},
    )
