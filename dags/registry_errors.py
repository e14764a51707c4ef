"""No DAG: fails to import while the registry has errors, so that Airflow lists them."""

from pathlib import Path

from chainflow import factory

factory.require_sound(Path(__file__))
