"""Blockchain ingestion DAG factory for Airflow with sync-height monitoring."""

__version__ = "0.1.0"
