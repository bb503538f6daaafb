"""A source that makes the arrays of one field by itself, so that a worker process can: the same as the test makes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from arrays import catalogue, variants


@functools.cache
def fields() -> dict[str, pa.Field]:
    return {name: field for group in catalogue().values() for name, field in group.items()}


@functools.lru_cache(maxsize=2)
def made(name: str, many: int) -> dict[str, list[Any]]:
    return variants(name, fields()[name], many)


class Variants:
    """Options: ``field``, a name of the catalogue; ``many`` rows. A partition for each variant, in a column ``v``."""

    def infer_schema(self, options):
        return pa.schema([fields()[options["field"]].with_name("v")])

    def plan_partitions(self, options):
        return [{"variant": variant} for variant in made(options["field"], int(options["many"]))]

    def read_partition(self, partition_spec, options) -> Iterator[Any]:
        yield from made(options["field"], int(options["many"]))[partition_spec["variant"]]
