"""The timeline: its times add up, its words are true, and a browser draws it."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from matplotlib.image import imread

import bascule
import testsources
from bascule import filters as f
from bascule._timeline_spans import ScanTimeline, seconds, size

SVG = "{http://www.w3.org/2000/svg}"


class Slow:
    """Partitions of batches that take 10 ms each: `batches` of them, of partition `skewed` ten times as many."""

    def infer_schema(self, options):
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options):
        return [{"p": p} for p in range(int(options["partitions"]))]

    def read_partition(self, partition_spec, options):
        n = int(options["batches"])
        for _ in range(10 * n if str(partition_spec["p"]) == options.get("skewed") else n):
            time.sleep(0.01)
            yield pa.record_batch({"n": range(100)})


def read(table, **how):
    """The timeline's scan, once all was read."""
    scan = table.scan(**how)
    for _ in scan:
        pass
    return scan.timeline()


@pytest.fixture(params=["inprocess", "process"])
def executor(request):
    return request.param


def test_times_rows_and_bytes_add_up(executor):
    table = bascule.table(Slow, partitions=6, batches=5, executor=executor, workers=2)
    (scan,) = read(table).scans
    partitions = scan.partitions()
    assert [span.partition for span in partitions] == list(range(6))
    assert [(span.rows, span.batches, span.bytes) for span in partitions] == [(500, 5, 4000)] * 6
    assert 1 <= len(scan.lanes) <= 2
    assert all(lane.name.startswith("worker" if executor == "process" else "thread") for lane in scan.lanes)
    for lane in scan.lanes:
        for span in lane.spans:
            parts = span.python + span.waiting + span.bridge + span.engine + span.turn
            assert parts == pytest.approx(span.seconds, abs=1e-6)
            assert 0 <= span.begun <= span.ended <= scan.seconds
        for span, next in zip(lane.spans, lane.spans[1:], strict=False):
            assert span.ended <= next.begun
    for span in partitions:
        # Five times 10 ms; of a worker's that runs ahead, less may have been waited for.
        assert span.python > (0.04 if executor == "inprocess" else 0)
        assert span.work + span.engine + span.turn == pytest.approx(span.seconds, abs=1e-6)
    assert scan.state == "done"


def test_a_slow_class_and_skew_are_named():
    sleeps = bascule.table(Slow, partitions=4, batches=5)
    assert re.search("waited for them (9.|100)% of the time: the source sets the pace", repr(read(sleeps, threads=1)))

    said = repr(read(bascule.table(Slow, partitions=6, batches=2, skewed=4), threads=6))
    assert "Partition 4 is skewed: it takes" in said
    assert "for 2,000 rows" in said
    assert "only one of" in said


def test_a_waiting_engine_is_no_fault_of_the_source():
    """One partition whose batches come at once, to a reader that takes its time."""
    from bascule import _native

    stream = pa.RecordBatchReader.from_stream(
        _native.Source("testsources:Numbers", {"partitions": "1"}).plan().scan().partition(0)
    )
    for _ in stream:
        time.sleep(0.05)
    said = repr(bascule.timeline())
    assert "went by in the engine" in said


class First:
    """The first partition takes its time, the others have their rows at once."""

    def infer_schema(self, options):
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options):
        return [{"p": p} for p in range(6)]

    def read_partition(self, partition_spec, options):
        for _ in range(20):
            time.sleep(0.02 if partition_spec["p"] == 0 else 0)
            yield pa.record_batch({"n": range(100 if partition_spec["p"] == 0 else 10)})


@pytest.mark.parametrize("by_number", [False, True])
def test_a_starved_reader_is_named_though_other_partitions_have_rows(by_number):
    """In order: threads that wait for their turn are no sign of an engine that wants no more."""
    timeline = read(bascule.table(First), threads=6)
    said = repr(bascule.timeline() if by_number else timeline)
    assert re.search("waited for them (9.|100)%", said)
    assert "whose turn had not come: ordered=False" in said
    assert "Partition 0 is skewed: it takes" in said
    assert "not what it waits for" not in said
    scan = timeline.scans[0]
    for span in scan.partitions():
        whole = span.python + span.waiting + span.bridge + span.turn + span.engine
        assert whole == pytest.approx(span.seconds, abs=1e-6)


def test_a_slow_taker_is_named():
    table = bascule.table(bascule.MemoryDataSource(pa.table({"n": range(600_000)}), partitions=2))
    table.to_arrow()  # what is loaded for the first read is
    scan = table.scan()
    for _ in scan:
        time.sleep(0.05)
    said = repr(scan.timeline())
    assert "hardly waited for them: the source is not what it waits for" in said


def test_rows_that_a_limit_left_over_are_told():
    # What nobody can tell the class is filtered behind it, so batches of five rows are read.
    scan = bascule.table("testsources:Numbers", partitions=4).where(pc.field("k") * 1 >= 0).limit(3).scan()
    assert sum(batch.num_rows for batch in scan) == 3
    assert "3 of the rows were handed over" in repr(scan.timeline())
    assert "ended early after" in repr(scan.timeline())


def test_the_newest_is_the_one_that_read_and_no_wrapper():
    table = bascule.table("testsources:Numbers", partitions=2)
    con = bascule.connect()
    table.to_duckdb(con).fetchall()
    table._repr_html_()
    assert bascule.timeline().scans[0].scan["source"] == "testsources:Numbers"
    bascule.concat(table, table).to_arrow()
    assert bascule.timeline().scans[0].scan["source"] == "testsources:Numbers"


def test_secrets_of_inner_tables_are_in_no_text():
    class Secretive(testsources.Numbers):
        OPTIONS = (bascule.Option("token", secret=True),)

    table = bascule.table(Secretive, token="hunter2")
    con = bascule.connect()
    table.to_duckdb(con).filter("s = 'hunter2'").fetchall()
    mapped = bascule.map_batches(table, lambda batch: batch, table.schema, keeps=["s"]).where(f.EqualTo("s", "hunter2"))
    scan = mapped.scan()
    for _ in scan:
        pass
    texts = [repr(mapped), mapped._repr_html_(), scan.timeline().to_html(), str(bascule.scans().to_pylist())]
    texts.append(bascule.timeline(*bascule.scans()["scan"].to_pylist()).to_html())
    for text in texts:
        assert "hunter2" not in text


def test_several_scans_by_their_numbers_and_the_newest():
    table = bascule.table("testsources:Numbers", partitions=2)
    table.to_arrow()
    table.select("p").to_arrow()
    newest, before = bascule.scans()["scan"][:2].to_pylist()
    assert [scan.scan["scan"] for scan in bascule.timeline().scans] == [newest]
    both = bascule.timeline(before, newest)
    assert [scan.scan["pushed_columns"] for scan in both.scans] == [None, "p"]
    assert both.to_html().count("<svg") == 2
    with pytest.raises(bascule.BasculeError, match="no scan 999999"):
        bascule.timeline(999999)


def test_a_thousand_partitions_and_many_batches_make_a_page_of_a_bounded_size():
    table = bascule.table("table.test_timeline:Fast", partitions=1500, batches=1)
    timeline = read(table)
    assert "Only the first 1,024 partitions are drawn." in repr(timeline)
    assert len(timeline.to_html()) < 2_000_000
    timeline = read(bascule.table("table.test_timeline:Fast", partitions=2, batches=20_000))
    assert sum(len(lane.spans) for lane in timeline.scans[0].lanes) <= 4096
    assert [span.rows for span in timeline.scans[0].partitions()] == [20_000, 20_000]
    assert len(timeline.to_html()) < 1_000_000


class Fast:
    def infer_schema(self, options):
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options):
        return [{}] * int(options.get("partitions", "1"))

    def read_partition(self, partition_spec, options):
        batch = pa.record_batch({"n": [1]})
        for _ in range(int(options.get("batches", "1"))):
            yield batch


def test_files(tmp_path):
    timeline = read(bascule.table(Slow, partitions=2, batches=2, name="<b>&"))
    timeline.save(tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text("utf-8")
    for outside in ("http://", "https://", "<script", "<link", "src="):
        assert outside not in page.replace("http://www.w3.org/2000/svg", "")
    timeline.save(tmp_path / "t.svg")
    svg = ElementTree.parse(tmp_path / "t.svg").getroot()
    assert svg.tag == f"{SVG}svg"
    assert len(svg.findall(f"{SVG}g")) == 2
    assert timeline._repr_html_() in page
    with pytest.raises(bascule.BasculeError, match=r"can't be written to .*no/t.html: No such file"):
        timeline.save(tmp_path / "no" / "t.html")
    with pytest.raises(TypeError, match=r"a number of bascule.scans\(\), got '3'"):
        bascule.timeline("3")
    with pytest.raises(bascule.BasculeError, match=r"as \.html or \.svg"):
        timeline.save(tmp_path / "t.png")


def test_texts_of_others_are_escaped():
    scan = {
        "scan": 1,
        "source": "<i>m</i>:C",
        "executor": "inprocess",
        "state": "done",
        "seconds": 1.0,
        "pushed_columns": None,
        "pushed_filters": "s = '<b>'",
        "pushed_limit": None,
        "partitions": 1,
        "partitions_pruned": 0,
        "partitions_read": 1,
        "rows": 1,
        "batches": 1,
        "bytes": 1,
        "planning_seconds": 0.0,
        "retries": 0,
        "reported": [("<u>", 1.0)],
    }
    span = {
        "partition": 0,
        "thread": 1,
        "worker": None,
        "begun": 0.0,
        "ended": 1.0,
        "pulled_seconds": 1.0,
        "python_seconds": 0.5,
        "waiting_seconds": 0.25,
        "batches": 1,
        "rows": 1,
        "bytes": 1,
    }
    page = bascule.Timeline([ScanTimeline(scan, [span])]).to_html()
    for tag in ("<i>", "<b>", "<u>"):
        assert tag not in page
    assert "&lt;i&gt;m" in page


@pytest.mark.parametrize(
    ("value", "text"), [(1.234, "1.23 s"), (0.5, "500 ms"), (1e-5, "10 µs"), (0, "0 s"), (12345, "12,345 s")]
)
def test_durations(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3e12, "3 TB")])
def test_sizes(value, text):
    assert size(value) == text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_it(tmp_path, scheme):
    """A partition that holds the class half of the time is a bar of which half has that colour."""
    page, picture = tmp_path / "t.html", tmp_path / "t.png"
    read(bascule.table(Slow, partitions=2, batches=10), threads=2).save(page)
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1180,500",
        f"--user-data-dir={tmp_path}/profile",
    ]
    command += [f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"]
    done = subprocess.run(
        [*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, text=True, timeout=100, check=False
    )
    assert picture.exists(), done.stderr
    pixels = (imread(picture)[:, :, :3] * 255).round().astype(int)
    ground, python = ((13, 17, 23), (68, 147, 248)) if scheme == "dark" else ((255, 255, 255), (9, 105, 218))
    assert tuple(pixels[2, 2]) == ground
    in_class = (np.abs(pixels - python).max(axis=2) < 24).sum()
    # Two bars of 18 pixels' height that are nearly all of some 990 pixels.
    assert 0.5 * 2 * 990 * 18 < in_class < 1.1 * 2 * 990 * 18
