"""docs/DAGS.md says what the DAGs say."""

from pathlib import Path

import pytest

from tools import dag_docs


def test_the_page_is_as_the_dags_are() -> None:
    assert dag_docs.DOCUMENT.read_text() == dag_docs.render(list(dag_docs.find_dags())), "python -m tools.dag_docs"


def test_a_stale_page_is_told_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "DAGS.md"
    page.write_text("old")
    monkeypatch.setattr(dag_docs, "ROOT", tmp_path)
    monkeypatch.setattr(dag_docs, "DOCUMENT", page)
    assert dag_docs.main(["--check"]) == 1
    assert page.read_text() == "old"
    assert "stale" in capsys.readouterr().out


def test_a_page_is_written_and_then_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_docs, "ROOT", tmp_path)
    monkeypatch.setattr(dag_docs, "DOCUMENT", tmp_path / "docs" / "DAGS.md")
    assert dag_docs.main([]) == 0
    assert dag_docs.main(["--check"]) == 0


def test_a_broken_dag_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from airflow.sdk import DAG\nraise ValueError('no such thing')\n")
    with pytest.raises(RuntimeError, match="no such thing"):
        dag_docs.find_dags(tmp_path)
