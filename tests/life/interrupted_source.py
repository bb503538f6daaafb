"""A source for programs that are interrupted: says READY, then stays in one place for a minute."""

import time

import pyarrow as pa

SCHEMA = pa.schema([("a", pa.int64())])


class Source:
    def infer_schema(self, options):
        self.stay("infer_schema", options)
        return SCHEMA

    def plan_partitions(self, options):
        self.stay("plan_partitions", options)
        return [{"i": i} for i in range(int(options.get("partitions", "1")))]

    def read_partition(self, spec, options):
        try:
            self.stay("read_partition", options)
            yield pa.record_batch([[1, 2]], schema=SCHEMA)
            self.stay("second batch", options)
        finally:
            print("ENDED", flush=True)

    def stay(self, place, options):
        if options.get("place") == place:
            print("READY", flush=True)
            end = time.monotonic() + 60
            while time.monotonic() < end:
                if options.get("sleeps"):
                    time.sleep(60)
