# /// script
# requires-python = ">=3.11"
# dependencies = ["holidays>=0.60"]
# ///
"""Public holidays, a partition per year: a file with a dependency of its own, which nobody else needs to install."""

import holidays
import pyarrow as pa

SCHEMA = pa.schema([("day", pa.date32()), ("name", pa.string())])


class PublicHolidays:
    """Options: country (default DE), subdivision, from (default 2025), to (default 2027)."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        return [{"year": year} for year in range(int(options.get("from", "2025")), int(options.get("to", "2027")) + 1)]

    def read_partition(self, partition_spec, options):
        country, subdivision = options.get("country", "DE"), options.get("subdivision")
        days = holidays.country_holidays(country, subdiv=subdivision, years=partition_spec["year"], language="en_US")
        found = sorted(days.items())
        yield pa.record_batch([[day for day, _ in found], [name for _, name in found]], schema=SCHEMA)
