"""Spark on Java: in one process, and on a local cluster of two executors."""

import os
import pathlib
import runpy
import shutil
import signal
import sys

import pytest
from conftest import COLUMN as TEXTS
from conftest import ROOT

import fraudscan
from fraudscan.columns import ColumnError, names_of
from fraudscan.lists import Entry, Lists
from fraudscan.spark import annotate

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module", params=["local[2]", "local-cluster[2,1,1024]"])
def spark(java, request, tmp_path_factory):  # noqa: ARG001 - fails or skips without Java
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(request.param).appName("fraudscan")
    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)  # executors run the Python that has fraudscan
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


def rows_of(scanner, pairs):
    """Yield the expected rows of a scored frame, computed with `classify`."""
    for number, text in pairs:
        if text is None:
            yield (number, text, *[None] * 6, ["no text"])
        else:
            r = scanner.classify(text)
            yield (number, text, r.label, r.scheme, list(r.labels), r.score, r.verdict, list(r.targets), list(r.notes))


def test_rows_schema_and_partitions_are_kept(spark, scanner):
    pairs = [(i, TEXTS[i % len(TEXTS)]) for i in range(200)]
    frame = spark.createDataFrame(spark.sparkContext.parallelize(pairs, 3), "nr int, content string")
    before = frame.rdd.glom().map(lambda rows: [row.nr for row in rows]).collect()
    out = annotate(frame, text="content")
    explained = annotate(frame, text="content", explain=True)
    assert explained.schema.fieldNames() == ["nr", "content", *names_of(scanner, proba=False, explain=True)]
    assert any(row.fraud_evidence for row in explained.limit(50).collect())
    assert out.schema.fieldNames() == ["nr", "content", *names_of(scanner, proba=False)]
    assert out.schema.fields[:2] == frame.schema.fields
    assert out.rdd.glom().map(lambda rows: [row.nr for row in rows]).collect() == before
    assert sorted(map(tuple, out.collect())) == list(rows_of(scanner, pairs))


def test_other_columns_are_unchanged(spark):
    nested = "map('a', 1) AS m, named_struct('x', 1.5D) AS s, array(1, null) AS a"
    times = "date'2024-02-29' AS d, timestamp'2024-02-29 12:00:00' AS t"
    named = "'甲' AS `user.id`, 2 AS `a b`, 3 AS `反引号``号`"
    frame = spark.sql(f"SELECT '你好' AS `msg.text`, {nested}, {times}, 1.10BD AS n, X'00FF' AS b, {named}")
    (before,), (after,) = frame.collect(), annotate(frame, text="msg.text").collect()
    assert after.asDict().keys() - before.asDict().keys() == set(names_of(fraudscan.load(), proba=False))
    assert tuple(after)[: len(before)] == tuple(before)
    assert after.fraud_label == "legitimate"


def test_columns_may_have_the_same_name(spark):
    frame = spark.sql("SELECT '你好' AS text, 1 AS id, 2L AS id, 'x' AS Id")  # as joins make them
    (row,) = annotate(frame).collect()
    assert row.__fields__[:5] == ["text", "id", "id", "Id", "fraud_label"]
    assert tuple(row)[:5] == ("你好", 1, 2, "x", "legitimate")


def test_a_custom_model_travels_with_the_job(spark, small_model, tmp_path):
    folder = shutil.copytree(small_model, tmp_path / "model")
    scanner = fraudscan.load(folder)
    frame = spark.createDataFrame([(text,) for text in TEXTS if text], "text string")
    out = annotate(frame, model=folder, proba=True)
    shutil.rmtree(folder)  # before any executor has seen it
    for row in out.collect():
        wanted = scanner.predict_proba([row.text])[0]
        assert [row[f"fraud_p_{name}"] for name in scanner.names] == pytest.approx(wanted, abs=1e-6)


def test_an_executor_with_another_model_raises_an_error(spark, scanner, monkeypatch):
    monkeypatch.setattr("fraudscan.spark.load", lambda _=None: scanner.with_thresholds(flag=0.99))  # in the driver
    frame = spark.createDataFrame([(TEXTS[2],)], "text string")
    with pytest.raises(Exception, match="another shipped model than the driver"):
        annotate(frame).collect()


def test_values_that_are_no_text_get_a_note(spark):
    frame = spark.createDataFrame([(1, b"x"), (2, None)], "nr int, text binary")
    rows = annotate(frame).orderBy("nr").collect()
    assert [row.fraud_notes for row in rows] == [["not a text: bytes"], ["no text"]]
    assert all(row.fraud_label is None and row.fraud_score is None for row in rows)


def test_entries_of_lists_fire_for_their_senders(spark, scanner):
    own = scanner.with_lists(Lists([Entry("allow", "", sender="95588"), Entry("deny", "下来", sender="106*")]))
    frame = spark.createDataFrame([(TEXTS[2], sender) for sender in ("1069", "95588", None)], "text string, who string")
    rows = annotate(frame, model=own, sender="who").orderBy("who").collect()
    assert [row.fraud_rule for row in rows] == [None, "deny sender=106*: 下来", "allow sender=95588:"]
    with pytest.raises(ColumnError, match=r"no column is called 'from'; .* Name the column of the senders with"):
        annotate(frame, model=own, sender="from")


def test_invalid_arguments_are_refused(spark):
    frame = spark.createDataFrame([("x",)], "content string")
    with pytest.raises(ColumnError, match="no column is called 'text'; the table has the columns: content"):
        annotate(frame)
    with pytest.raises(ColumnError, match="already has columns called fraud_label, fraud_scheme, "):
        annotate(annotate(frame, text="content"), text="content")
    with pytest.raises(ColumnError, match="Spark takes the column 'Fraud_Label' for 'fraud_label'"):
        annotate(frame.selectExpr("content", "content AS Fraud_Label"), text="content")
    with pytest.raises(fraudscan.ModelError, match="nowhere is not a model"):
        annotate(frame, text="content", model="nowhere")
    with pytest.raises(TypeError, match=r"not pyspark\.DataFrame: call to_spark\(\) first"):
        annotate(frame.pandas_api(), text="content")
    with pytest.raises(TypeError, match=r"not pandas\.DataFrame: use Scanner\.annotate for other frames"):
        annotate(frame.toPandas(), text="content")


def test_example_scores_parquet_files(spark, scanner, corpus, tmp_path, monkeypatch):
    pairs = [(i, row.text) for i, row in enumerate(corpus[::200])]
    source, target = str(tmp_path / "in"), str(tmp_path / "out")
    spark.createDataFrame(pairs, "nr int, content string").write.parquet(source)
    monkeypatch.setattr("sys.argv", ["parquet_job.py", source, target, "--text", "content"])
    runpy.run_path(str(ROOT / "examples" / "parquet_job.py"), run_name="__main__")
    rows = spark.read.parquet(target).orderBy("nr").collect()
    assert [tuple(row) for row in rows] == list(rows_of(scanner, pairs))


def test_a_lost_executor_changes_nothing(spark, scanner, tmp_path):
    if not spark.sparkContext.master.startswith("local-cluster"):
        pytest.skip("one process has no executor to lose")
    flag = str(tmp_path / "killed")

    def kill_once(batches):
        """Kill the executor that runs this function, unless one was killed before."""
        for batch in batches:
            try:
                os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                pid = os.getpid()
                while pathlib.Path(f"/proc/{pid}/comm").read_text() != "java\n":
                    pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                os.kill(pid, signal.SIGKILL)
            yield batch

    pairs = [(i, TEXTS[i % len(TEXTS)]) for i in range(2000)]
    frame = spark.createDataFrame(pairs, "nr int, content string").repartition(8)
    out = annotate(frame.mapInArrow(kill_once, frame.schema), text="content")
    assert sorted(map(tuple, out.collect())) == list(rows_of(scanner, pairs))
    assert (tmp_path / "killed").exists()
