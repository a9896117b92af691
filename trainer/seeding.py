"""Random numbers that depend on what they are for, not on what was drawn before."""

import hashlib

import torch


def seed_of(seed: int, *names: object) -> int:
    """A 31-bit seed for one purpose, e.g. seed_of(0, "rows", day): the same names give the same seed."""
    digest = hashlib.sha256("/".join([str(seed), *map(str, names)]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def generator(seed: int, *names: object) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, *names))
