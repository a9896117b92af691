"""The tables of a day: user_tags, profiles, audience and profile_diff."""
