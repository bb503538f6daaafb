"""Predictions: what each kind of model makes, beside it the columns; what is pruned and pushed; each failure."""

from __future__ import annotations

import json

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bascule
from bascule import filters as f
from bascule.check import run
from bascule.sources.predict import PredictDataSource
from sources.predict import models
from sources.predict.models import seen

SOURCE = "bascule.sources.predict:PredictDataSource"
HERE = "sources.predict.models"


def predict(model="total", source="Features", executor="inprocess", options=None, **more):
    model = model if ":" in str(model) or "." in str(model) else f"{HERE}:{model}"
    given = {"source": f"{HERE}:{source}", "model": str(model), "source_options": json.dumps(options or {})}
    return bascule.table(SOURCE, given, executor=executor, **more)


@pytest.fixture(params=["inprocess", "process"])
def executor(request):
    return request.param


@pytest.fixture(scope="module")
def frame():
    return bascule.table(models.Features).to_pandas()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, frame):
    """Each kind of model in a file."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    folder = tmp_path_factory.mktemp("models")
    matrix, target = frame[["a", "b"]].to_numpy(), 3 * frame["a"] + frame["b"]
    plain, named = LinearRegression().fit(matrix, target), LinearRegression().fit(frame[["a", "b"]], target)
    classes = LogisticRegression().fit(matrix, frame["b"] > 3)
    joblib.dump(plain, folder / "plain.joblib")
    joblib.dump(named, folder / "named.pkl")
    joblib.dump(classes, folder / "classes.joblib")
    joblib.dump(StandardScaler().fit(matrix), folder / "scaler.joblib")
    one = to_onnx(plain, initial_types=[("X", FloatTensorType([None, 2]))])
    (folder / "matrix.onnx").write_bytes(one.SerializeToString())
    columns = make_pipeline(make_column_transformer((StandardScaler(), ["a", "b"])), LinearRegression())
    several = to_onnx(
        columns.fit(frame[["a", "b"]], target),
        initial_types=[("a", DoubleTensorType([None, 1])), ("b", DoubleTensorType([None, 1]))],
    )
    (folder / "several.onnx").write_bytes(several.SerializeToString())
    zipped = to_onnx(classes, initial_types=[("X", FloatTensorType([None, 2]))])
    (folder / "zipped.onnx").write_bytes(zipped.SerializeToString())
    flat = to_onnx(classes, initial_types=[("X", FloatTensorType([None, 2]))], options={"zipmap": False})
    (folder / "flat.onnx").write_bytes(flat.SerializeToString())
    return folder


@pytest.mark.parametrize("name", ["plain.joblib", "named.pkl", "matrix.onnx", "several.onnx"])
def test_each_kind_of_model_predicts_as_it_does_alone(folder, frame, name, executor):
    more = {} if name in ("named.pkl", "several.onnx") else {"inputs": "a, b"}
    outputs = {"outputs": "y"}
    table = predict(folder / name, executor=executor, **more, **outputs)
    assert table.schema.names == ["id", "a", "b", "text", "y"]
    found = table.to_pandas()
    assert found["id"].to_list() == frame["id"].to_list()
    assert np.allclose(found["y"], 3 * frame["a"] + frame["b"], rtol=1e-4)
    assert found["text"].to_list() == frame["text"].to_list()


def test_matrices_probabilities_and_other_methods(folder, frame):
    matrix = frame[["a", "b"]].to_numpy()
    classes = joblib.load(folder / "classes.joblib")
    table = predict(folder / "classes.joblib", inputs="a,b", method="predict_proba")
    assert table.schema.field("prediction").type == pa.list_(pa.float64(), 2)
    assert np.allclose(table.to_arrow()["prediction"].to_pylist(), classes.predict_proba(matrix))
    scaled = predict(folder / "scaler.joblib", inputs='["a", "b"]', method="transform", outputs="scaled").to_arrow()
    assert np.allclose(scaled["scaled"].to_pylist(), StandardScaler().fit_transform(matrix))
    flat = predict(folder / "flat.onnx", inputs="a,b", outputs="class,probabilities").to_arrow()
    assert flat["class"].to_pylist() == classes.predict(matrix).tolist()
    assert np.allclose(flat["probabilities"].to_pylist(), classes.predict_proba(matrix), atol=1e-5)


def test_functions_and_classes(executor):
    table = predict("two", executor=executor, inputs="a")
    assert table.schema.names == ["id", "a", "b", "text", "low", "where"]
    assert table.to_arrow()["low"].to_pylist()[:3] == [0.0, 0.05, 0.1]
    counted = predict("Counter", executor=executor, inputs="a", bascule_workers="1").to_arrow()["calls"].to_pylist()
    assert len(set(counted)) == 6, "one instance saw each batch"


def test_columns_are_pruned_to_what_the_model_and_the_query_need():
    table = predict("total", inputs="a,b")
    assert table.schema is not None
    seen.clear()
    assert len(table.select("prediction").to_arrow()) == 300
    assert {tuple(columns) for what, columns in seen if what == "columns"} == {("a", "b")}
    seen.clear()
    assert len(table.select("text").to_arrow()) == 300
    assert {tuple(columns) for what, columns in seen if what == "columns"} == {("text",)}
    assert not [rows for what, rows in seen if what == "rows"], "the model isn't asked"


def test_predicates_of_the_source_are_pushed_and_the_model_sees_what_is_left(executor):
    table = predict("total", inputs="a,b", executor=executor)
    asked = table.where(f.GreaterThanOrEqual("id", 250), f.LessThan("prediction", 27)).select("id", "prediction")
    expected = [(i, i / 10 + i % 7) for i in range(250, 300) if i / 10 + i % 7 < 27]
    found = asked.to_arrow()
    assert [(row["id"], row["prediction"]) for row in found.to_pylist()] == expected
    if executor == "inprocess":
        seen.clear()
        asked.to_arrow()
        assert sum(rows for what, rows in seen if what == "rows") == 50
        assert len([1 for what, _ in seen if what == "columns"]) == 1, "one of three partitions"
    con = bascule.connect()
    options = f"source := '{HERE}:Features', model := '{HERE}:total', inputs := 'a,b', bascule_executor := '{executor}'"
    sql = f"SELECT count(*), sum(prediction) FROM python('{SOURCE}', {options}) WHERE id < 3"
    assert con.sql(sql).fetchall() == [(3, pytest.approx(0.3 + 0 + 1 + 2))]


def test_nulls_are_nan_where_the_model_has_such(folder):
    found = predict(folder / "matrix.onnx", source="WithNulls", inputs="a,b", outputs="y").to_arrow()
    nan = pc.is_nan(found["y"]).to_pylist()
    assert nan == [i % 2 == 1 for i in range(300)]


@pytest.mark.parametrize("options", [{}, {"partitions": "1"}], ids=str)
def test_it_passes_every_check(options):
    """Of a model whose answer for a row is the same whichever rows are beside it: linear algebra's last bits aren't."""
    given = {
        "source": f"{HERE}:Features",
        "model": f"{HERE}:total",
        "inputs": "a,b",
        "source_options": json.dumps(options),
    }
    failed = [result for result in run(SOURCE, given).results if result.status == "failed"]
    assert not failed, [(result.id, result.reasons) for result in failed]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "no/such.onnx"}, "there is no model no/such.onnx: it is an .onnx, .joblib or .pkl file, or"),
        ({"model": "json:nothing"}, "the model json:nothing can't be found"),
        ({"model": f"{HERE}:total"}, "doesn't say which columns it takes: give inputs := 'a,b,c'"),
        ({"inputs": "a,zz"}, "takes zz, which the source has not: it has id, a, b, text"),
        ({"outputs": "id"}, "the source has a column id already: name what the model makes by outputs"),
        ({"outputs": "x,y"}, "makes 1 columns, and outputs names 2"),
        ({"method": "fly"}, "is a LinearRegression, which has no method fly"),
        ({"source": "no_such:Source"}, "there is no module 'no_such'"),
        ({"source_options": "[1]"}, "a JSON object of the other source's options"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_when_it_is_opened(folder, given, words):
    options = {"source": f"{HERE}:Features", "model": str(folder / "plain.joblib"), "inputs": "a,b", **given}
    if given.get("model") == f"{HERE}:total":
        del options["inputs"]
    with pytest.raises(bascule.BasculeError, match=words):
        _ = bascule.table(SOURCE, options, executor="inprocess").schema


def test_broken_and_foreign_models(folder, tmp_path):
    for name, words in (
        ("broken.onnx", "can't be loaded"),
        ("broken.joblib", "can't be loaded"),
        ("model.txt", "none of the suffixes"),
    ):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(bascule.BasculeError, match=words):
            _ = predict(tmp_path / name, inputs="a").schema
    with pytest.raises(bascule.BasculeError, match=r"convert it with options=\{'zipmap': False\}"):
        _ = predict(folder / "zipped.onnx", inputs="a,b").schema


def test_a_model_that_fails_names_itself_and_the_partition(executor):
    table = predict("fails", inputs="a", executor=executor)
    with pytest.raises(
        bascule.BasculeError,
        match=r"(?s)partition \d of 3: .*the model .*:fails failed on 50 rows: ArithmeticError: no weights",
    ):
        table.to_arrow()
    with pytest.raises(bascule.BasculeError, match=r"made 0 values of 'prediction' for 1 rows"):
        _ = predict("short", inputs="a").schema


def test_options_of_the_other_source_are_secret():
    table = predict("total", inputs="a,b", options={"token": "canary"})
    assert len(table.to_arrow()) == 300
    for text in (repr(table), table._repr_html_(), str(bascule.scans().to_pylist())):
        assert "canary" not in text


def test_a_model_file_that_is_replaced_is_loaded_anew(folder, tmp_path, frame):
    path = tmp_path / "m.joblib"
    joblib.dump(LinearRegression().fit(frame[["a", "b"]].to_numpy(), frame["a"]), path)
    first = predict(path, inputs="a,b").limit(3).to_arrow()["prediction"].to_pylist()
    joblib.dump(LinearRegression().fit(frame[["a", "b"]].to_numpy(), frame["a"] + 100), path)
    second = predict(path, inputs="a,b").limit(3).to_arrow()["prediction"].to_pylist()
    assert np.allclose(np.array(second) - np.array(first), 100)


@pytest.mark.parametrize(
    ("planned", "some"),
    [
        (None, []),
        (None, ["id"]),
        (None, ["text", "prediction"]),
        (["id", "prediction"], ["prediction"]),
        (["id", "prediction"], ["id"]),
        (["prediction"], []),
        (["id", "text"], ["text"]),
    ],
    ids=str,
)
def test_an_engine_may_read_fewer_columns_than_it_planned_for(planned, some):
    """As DataFusion does, which names columns with each partition."""
    source = PredictDataSource()
    options = {"source": "sources.predict.models:Features", "model": "sources.predict.models:total", "inputs": "a,b"}
    rows = bascule.table(SOURCE, options).to_arrow()
    specs = source.plan_partitions(options, columns=planned)
    batches = [batch for spec in specs for batch in source.read_partition(spec, options, columns=some)]
    assert sum(batch.num_rows for batch in batches) == rows.num_rows
    for name in some:
        assert [value for batch in batches for value in batch[name].to_pylist()] == rows[name].to_pylist()


def test_its_option_source_is_given_as_others_are():
    given = bascule.table("predict", source=f"{HERE}:Features", model=f"{HERE}:total", inputs="a,b")
    assert given.count() == 300
