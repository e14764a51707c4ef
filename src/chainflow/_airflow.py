"""The few names that the supported versions of Airflow spell differently."""

from __future__ import annotations

from airflow.sdk import BaseOperator

try:
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        DagRunTriggerException,
    )
except ImportError:  # before 3.2
    from airflow.exceptions import (  # type: ignore[no-redef,attr-defined,unused-ignore]
        AirflowFailException,
        AirflowNotFoundException,
        DagRunTriggerException,
    )

__all__ = [
    "BACKOFF",
    "AirflowFailException",
    "AirflowNotFoundException",
    "DagRunTriggerException",
    "run_again",
]

# How `retry_exponential_backoff` is told to double the delay: a switch once, the factor since 3.2,
# where True would be a factor of one.
BACKOFF: bool | float = True if BaseOperator.retry_exponential_backoff is False else 2.0


def run_again(dag_id: str, run_id: str) -> Exception:
    """What a task raises as its last word to succeed and have a DAG run once more.

    As TriggerDagRunOperator does it, whose import alone would double what a parse costs.
    """
    return DagRunTriggerException(
        trigger_dag_id=dag_id,
        dag_run_id=run_id,
        conf={},
        logical_date=None,
        reset_dag_run=False,
        skip_when_already_exists=True,
        wait_for_completion=False,
        allowed_states=[],
        failed_states=[],
        poke_interval=60,
        deferrable=False,
    )
