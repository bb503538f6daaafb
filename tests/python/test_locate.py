"""Where a class is found: module, file, short name."""

from __future__ import annotations

import importlib.metadata
import textwrap

import pyarrow as pa
import pytest

import testsources
from bascule import SourceNotFoundError, _locate
from bascule._native import Source

SOURCE = """
    import pyarrow as pa
    {more}
    class Orders:
        def infer_schema(self, options): return pa.schema([("{column}", pa.int64())])
        def plan_partitions(self, options): return []
        def read_partition(self, spec, options): yield
"""


def write(path, column="a", more=""):
    path.write_text(textwrap.dedent(SOURCE.format(column=column, more=more)))


def columns(source: Source) -> list[str]:
    return pa.schema(source).names


def test_a_module_and_class():
    assert columns(Source("testsources:Good")) == ["a", "b"]
    assert Source("testsources:Good").label == "testsources:Good"


def test_the_settings_name_a_class_too():
    assert columns(Source("", {"python_module": "testsources", "PYTHON_CLASS": "Good"})) == ["a", "b"]
    assert columns(Source("", {"python_class": "testsources:Good"})) == ["a", "b"]


def test_an_attribute_path_reaches_a_nested_class(monkeypatch):
    monkeypatch.setattr(testsources.Good, "Inner", testsources.Numbers, raising=False)
    assert columns(Source("testsources:Good.Inner")) == ["p", "k", "x", "s"]


def test_a_file_by_relative_and_absolute_path(tmp_path, monkeypatch):
    write(tmp_path / "orders.py")
    assert columns(Source(f"{tmp_path}/orders.py:Orders")) == ["a"]
    monkeypatch.chdir(tmp_path)
    assert columns(Source("orders.py:Orders")) == ["a"]
    assert columns(Source("", {"python_module": "orders.py", "python_class": "Orders"})) == ["a"]


def test_a_file_is_one_module_until_it_changes(tmp_path):
    file = tmp_path / "orders.py"
    write(file)
    first = _locate.from_file(str(file), "Orders")
    assert _locate.from_file(str(file), "Orders") is first
    write(file, column="other")
    assert _locate.from_file(str(file), "Orders") is not first
    assert columns(Source(f"{file}:Orders")) == ["other"]


def test_each_edit_of_a_file_counts_however_fast(tmp_path):
    """Python's bytecode files don't see an edit of the same length within the same second."""
    file = tmp_path / "orders.py"
    for column in "abcdefgh":
        write(file, column=column)
        assert columns(Source(f"{file}:Orders")) == [column]
    assert not (tmp_path / "__pycache__").exists()


def test_an_entry_point_that_leads_nowhere_is_named(monkeypatch):
    entry_points(monkeypatch, ("broken", "testsources:Nope"))
    with pytest.raises(
        SourceNotFoundError, match=r"'broken' stands for testsources:Nope .an entry point of .* can't be loaded"
    ):
        Source("broken")


def test_a_dot_for_a_colon_is_guessed():
    with pytest.raises(SourceNotFoundError, match=r"Did you mean 'testsources:Good'\?"):
        Source("testsources.Good")


def test_a_file_imports_what_lies_beside_it(tmp_path):
    (tmp_path / "beside_orders.py").write_text("x = 1\n")
    write(tmp_path / "orders.py", more="import beside_orders")
    assert columns(Source(f"{tmp_path}/orders.py:Orders")) == ["a"]


def test_a_file_may_change_the_path(tmp_path):
    write(tmp_path / "orders.py", more="import sys; sys.path = [p for p in sys.path if 'pytest' not in p]")
    import sys

    before = list(sys.path)
    try:
        assert columns(Source(f"{tmp_path}/orders.py:Orders")) == ["a"]
    finally:
        sys.path[:] = before


def test_a_file_that_fails_to_load_is_tried_again(tmp_path):
    file = tmp_path / "orders.py"
    file.write_text("raise RuntimeError('half written')\n")
    with pytest.raises(Exception, match="half written"):
        Source(f"{file}:Orders")
    write(file)
    assert columns(Source(f"{file}:Orders")) == ["a"]


def entry_points(monkeypatch, *points):
    made = [importlib.metadata.EntryPoint(name, value, "bascule.sources") for name, value in points]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [p for p in made if group == "bascule.sources"]
    )


def test_a_short_name_is_an_entry_point(monkeypatch):
    entry_points(monkeypatch, ("orders", "testsources:Good"), ("numbers", "testsources:Numbers"))
    assert columns(Source("orders")) == ["a", "b"]
    assert Source("orders").label == "orders"


def test_an_unknown_short_name_lists_the_installed_and_the_nearest(monkeypatch):
    entry_points(monkeypatch, ("orders", "testsources:Good"), ("numbers", "testsources:Numbers"))
    with pytest.raises(
        SourceNotFoundError, match=r"short name 'order' \(installed: numbers, orders\). Did you mean 'orders'"
    ):
        Source("order")


def test_a_short_name_that_two_packages_offer_is_refused(monkeypatch):
    entry_points(monkeypatch, ("orders", "testsources:Good"), ("orders", "testsources:Numbers"))
    with pytest.raises(SourceNotFoundError, match="several packages"):
        Source("orders")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothere_xyz:C", "there is no module 'nothere_xyz' on the path of"),
        ("testsourcez:Good", r"did you mean 'testsources'\?"),
        ("testsources:Goood", r"module 'testsources' has no class 'Goood'; did you mean 'Good'\?"),
        ("testsources:not_a_class", "'not_a_class' is an int, not a class"),
        ("missing/orders.py:Orders", "file 'missing/orders.py' can't be read: No such file"),
        ("shortest", "no source has the short name 'shortest'"),
    ],
)
def test_what_is_not_there_is_named_and_so_is_the_remedy(name, message):
    with pytest.raises(SourceNotFoundError, match=message):
        Source(name)


def test_an_import_error_inside_the_module_is_shown_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Exception, match=r"raised ModuleNotFoundError: No module named 'nothing_of_this_name'") as e:
        Source("needs_more:C")
    assert not isinstance(e.value, SourceNotFoundError)
    assert "importlib" not in str(e.value)
