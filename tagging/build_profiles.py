"""JOB: the merged profile of every user of a day, interest and intention together (MVKE section 3.2).

    python -m tagging.build_profiles --config conf/demo.toml --day 2026-01-07

profiles/dt=D has one row for each user of users/dt=D: user_id, known_features, and for each task the list of tags with
their scores from user_tags/dt=D, best first. known_features = 0 says that nothing is known of a user: the tags are
those of an unknown user, the same for all of them.
"""

from datetime import date
from pathlib import Path
from typing import Any

from conf import cli
from conf.load import load_settings
from conf.refusal import Refusal
from conf.settings import Settings
from etl.contract import feature_columns
from etl.publish import file_hash, identity, is_published, publish, read_manifest, write_manifest
from etl.session import session
from tagging import blocks
from tagging.merged import SUMMARY, Work, worker
from trainer.daily_run import open_run
from trainer.family import DailyRun


def main() -> None:
    parser = cli.parser("Merge the tags of a day into a profile for each user.")
    parser.add_argument("--day", type=cli.day, required=True)
    arguments = parser.parse_args()
    build_profiles(load_settings(arguments.config), arguments.day, force=arguments.force)


def build_profiles(settings: Settings, day: date, *, force: bool) -> None:
    """Publishes profiles/dt=D; raises Refusal when the day's tags are absent or of another users table."""
    run = open_run(settings, "tagger")
    paths, target = run.paths, run.paths.profiles(day)
    if is_published(target) and not force:
        print(f"profiles {day}: present in {target}, nothing to do", flush=True)
        return
    manifests = tags_of(run, day)
    any_task = next(iter(manifests.values()))
    features = [feature_columns(f) for f in settings.features if f.table == "users"]
    tags = {task: paths.user_tags(day, task).resolve() for task in manifests}

    def fill(staging: Path) -> None:
        with session(settings.spark) as spark:
            work = spark.sparkContext.broadcast(Work(features, tags, staging.resolve()))
            made = blocks.over_blocks(spark, settings, paths.users(day), any_task["blocks"], worker(work), SUMMARY)
            files = made.orderBy("name").collect()
        rows, unknown = sum(f["rows"] for f in files), sum(f["unknown"] for f in files)
        tagged = sum(f["tagged"] for f in files)
        if rows != any_task["users"] or tagged != sum(m["rows"] for m in manifests.values()):
            raise Refusal(
                f"{rows} users and {tagged} tags came together, not all", where=target, remedy=f"{again(day)} --force"
            )
        manifest = {
            "day": str(day),
            "rows": rows,
            "users_without_features": unknown,
            "tags": tagged,
            "made_from": {task: identity(folder) for task, folder in tags.items()},
            "files": [{name: f[name] for name in ("name", "rows", "sha256")} for f in files],
        }
        write_manifest(staging, manifest)
        print(f"profiles {day}: {rows:,} users, of {unknown:,} of whom nothing is known", flush=True)

    publish(paths, target, fill)


def again(day: date) -> str:
    return f"tag them: python -m tagging.tag_users --day {day}"


def tags_of(run: DailyRun, day: date) -> dict[str, dict[str, Any]]:
    """Manifests of the day's user_tags by task; raises Refusal when one is absent, damaged, or of other users."""
    users = run.paths.users(day)
    read_manifest(users, remedy=f"build it: python -m etl.build_users --day {day}")
    manifests = {}
    for task in run.objective.head_names:
        folder = run.paths.user_tags(day, task)
        manifests[task] = manifest = read_manifest(folder, remedy=again(day))
        if manifest["made_from"]["users"] != identity(users) or "blocks" not in manifest:
            raise Refusal("made of another users table", where=folder, remedy=f"{again(day)} --force")
        for entry in manifest["files"]:
            path = folder / entry["name"]
            if not path.is_file() or file_hash(path) != entry["sha256"]:
                raise Refusal("damaged", where=path, remedy=f"{again(day)} --force")
    return manifests


if __name__ == "__main__":
    cli.run(main)
