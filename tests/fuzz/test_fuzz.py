"""Fuzzes what reads names, options, predicates, metrics, schemas and arrays; libFuzzer, with a kept corpus.

Each target runs for BASCULE_FUZZ_SECONDS (20 with CI=true, else 5), two at a time, from its corpus in
corpus/<target>. How the corpus is kept is said in docs/testing.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

import cbuild

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
COMPILER, SANITIZERS = "clang-19", "fuzzer-no-link,address,undefined"

#: Each has a file fuzz_<target>.c; `planted` has a mistake in it, for the tests of this file.
TARGETS = sorted(p.stem.removeprefix("fuzz_") for p in HERE.glob("fuzz_*.c") if p.stem != "fuzz_planted")

SECONDS = int(os.environ.get("BASCULE_FUZZ_SECONDS") or (20 if os.environ.get("CI") == "true" else 5))

#: A bigger input says nothing that a smaller one can't.
LIMITS = ["-max_len=2048", "-timeout=10", "-rss_limit_mb=1024"]


@cache
def missing() -> str | None:
    """Why libFuzzer can't be had here."""
    if shutil.which(COMPILER) is None:
        return f"{COMPILER} is not installed"
    command = [COMPILER, "-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", os.devnull]
    program = "int LLVMFuzzerTestOneInput(const char *d, long n); int LLVMFuzzerTestOneInput(const char *d, long n) "
    program += "{ return d && n ? 0 : 0; }"
    found = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    return None if found.returncode == 0 else f"libFuzzer is not installed (libclang-rt-19-dev): {found.stderr[:200]}"


@pytest.fixture(scope="module")
def folder() -> Path:
    if reason := missing():
        pytest.skip(reason)
    names = [f"fuzz_{target}" for target in [*TARGETS, "planted"]]
    return cbuild.built(COMPILER, SANITIZERS, names, "RelWithDebInfo") / "tests" / "fuzz"


def run(executable: Path, *args: str | Path) -> tuple[int, str]:
    return cbuild.run(executable, *args, timeout=None)


def fuzz(executable: Path, found: Path, seconds: int, *corpus: Path) -> str:
    """What went wrong, with the command that shows it again; or nothing."""
    shutil.rmtree(found, ignore_errors=True)
    (found / "corpus").mkdir(parents=True)
    limits = [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={found}/"]
    code, output = run(executable, *limits, found / "corpus", *corpus)
    runs = re.search(r"^Done (\d+) runs", output, flags=re.MULTILINE)
    if code == 0 and runs and int(runs[1]) > 0:
        return ""
    inputs = sorted(p for p in found.iterdir() if p.is_file())
    again = [f"{executable} {p}" for p in inputs]
    encoded = re.search(r"^Base64: (\S+)$", output, flags=re.MULTILINE)
    if encoded:
        again.append(f"echo {encoded[1]} | base64 -d > crash && {executable} crash")
    noise = re.compile(r"\t(NEW|REDUCE|RELOAD|pulse) |^\s*#\d+ +0x.*(libFuzzer|fuzzer::)")
    text = "\n".join(line for line in output.splitlines() if not noise.search(line))
    return f"{executable.name} ended with {code}:\n{text[-6000:]}\nTo see it again:\n  " + "\n  ".join(again)


@pytest.fixture(scope="module")
def findings(folder: Path) -> Iterator[dict[str, Future[str]]]:
    """All targets, started two at a time; each test waits for its own."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {
            target: pool.submit(
                fuzz, folder / f"fuzz_{target}", cbuild.ROOT / "build" / "fuzz" / target, SECONDS, CORPUS / target
            )
            for target in TARGETS
        }


def test_there_are_targets_for_all_that_is_asked():
    assert {"array", "filter", "frames", "locator", "metrics", "options", "schema", "settings"} <= set(TARGETS)


@pytest.mark.timeout(300)  # builds them
@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_corpus_passes(folder, target):
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    code, output = run(folder / f"fuzz_{target}", *LIMITS, *inputs)
    assert code == 0, output[-6000:]
    assert output.count("Executed ") == len(inputs)


@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_corpus_is_small(target):
    sizes = [p.stat().st_size for p in (CORPUS / target).iterdir()]
    assert len(sizes) <= 400
    assert sum(sizes) <= 64 * 1024


@pytest.mark.timeout(600 + 3 * SECONDS)
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_finds_nothing(findings, target):
    finding = findings[target].result()
    if finding:
        pytest.fail(finding, pytrace=False)


def test_a_planted_mistake_is_found_and_can_be_shown_again(folder, tmp_path):
    finding = fuzz(folder / "fuzz_planted", tmp_path / "found", 60)
    assert re.search(r"fuzz_planted\.c:\d+: broken promise: size < 2", finding)
    command = finding.split("To see it again:\n")[1].splitlines()[0].split()
    code, output = run(Path(command[0]), *command[1:])
    assert code != 0
    assert "broken promise" in output
