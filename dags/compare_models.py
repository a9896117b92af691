"""The DAG `compare_models`, triggered by hand."""  # Airflow skips files that name neither it nor a DAG

from dags.comparison import comparison

dag = comparison(
    "compare_models",
    module="trainer.compare_models",
    what="rankers",
    family="ranker",
    models=["single", "hard", "sparse_weight"],
    base="single",
    name="models",
)
