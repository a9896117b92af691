"""Which settings a day's tables depend on, as a hash."""

import hashlib
import json
from typing import Any

from conf.settings.run_file import Feature, Settings


def settings_hash(settings: Settings) -> str:
    """Of all settings that decide what a day's tables hold.

    Paths do not: the manifest has the hashes of the files. `cross` does not: it is the model's concern. Nor does the
    order of [[features]]: every reader asks for columns by name. [domain] does where it names anything but the domain
    that impressions have: without [domain], samples hold that one too.
    """
    sections = {"source", "attribution", "labels", "vocabulary", "features"}
    chosen = settings.model_dump(mode="json", include=sections)
    chosen["start"] = str(settings.training.start)
    chosen["features"] = {f.name: f.model_dump(mode="json", exclude={"cross"}) for f in settings.features}
    if (domain := settings.domain_feature) and not _is_own_domain(domain):
        chosen["domain"] = domain.name
    return fingerprint(_without_paths(chosen))


def _is_own_domain(feature: Feature) -> bool:
    return (feature.table, feature.source_column, feature.kind) == ("impressions", "domain", "categorical")


def fingerprint(content: Any) -> str:
    """16 hex digits of the SHA-256 of the content as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _without_paths(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_paths(value) for key, value in content.items() if key != "path"}
    return content
