"""The few names that the supported versions of Airflow spell differently."""

from __future__ import annotations

from airflow.sdk import BaseOperator

try:
    from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
except ImportError:  # before 3.2
    from airflow.exceptions import (  # type: ignore[no-redef,attr-defined,unused-ignore]
        AirflowFailException,
        AirflowNotFoundException,
    )

__all__ = ["BACKOFF", "AirflowFailException", "AirflowNotFoundException"]

# How `retry_exponential_backoff` is told to double the delay: a switch once, the factor since 3.2,
# where True would be a factor of one.
BACKOFF: bool | float = True if BaseOperator.retry_exponential_backoff is False else 2.0
