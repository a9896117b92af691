"""The DAG `compare_taggers`, triggered by hand."""  # Airflow skips files that name neither it nor a DAG

from dags.comparison import comparison

dag = comparison(
    "compare_taggers",
    module="tagging.compare_taggers",
    what="taggers",
    family="tagger",
    models=["two_tower", "mvke"],
    base="two_tower",
    name="taggers",
)
