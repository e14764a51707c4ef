"""An Airflow DAG for each live chain of the registry, and the DAGs heights and housekeeping."""

from pathlib import Path

from chainflow import factory

globals().update(factory.dags(Path(__file__)))
