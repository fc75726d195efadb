"""Runs of Vishwa (`vishwa export airflow` has written this file).

Put it into Airflow's folder of DAGs, and name its DAG in the runner that Vishwa's Project
declares. Each run of the DAG is one run of Vishwa: its conf says which command begins the
worker, and with which ticket. Whoever may trigger this DAG begins commands on Airflow's
machines, and whoever may see a run of it sees its ticket: allow it to few.

It needs Airflow 2.9 or newer, or 3; Linux; and `python3` on PATH.
"""

import os
import signal
import subprocess
import tempfile
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG, BaseOperator
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.baseoperator import BaseOperator
from airflow.exceptions import AirflowFailException

DAG_ID = "[[DAG]]"
AT_ONCE = 16  # runs of the DAG that are carried out at once; the rest is queued
SAID = 2048  # bytes of the end of what the worker itself printed that are kept with a run that failed

# What the worker gets of this process's environment: nothing of Airflow's own settings.
PASSED = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH",
)


class VishwaWorker(BaseOperator):
    """Begins the worker that the run's conf names, and ends with its exit code."""

    process = None

    def execute(self, context):
        given = context["dag_run"].conf["vishwa"]
        env = {name: os.environ[name] for name in PASSED if name in os.environ}
        env["VISHWA_TICKET"] = given["ticket"]
        with tempfile.TemporaryFile() as said:
            self.process = subprocess.Popen(
                given["command"], env=env, stdin=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
            try:
                code = self.process.wait(timeout=given["seconds"])
            except subprocess.TimeoutExpired:
                raise AirflowFailException("the worker had not ended after %d s" % given["seconds"]) from None
            finally:
                self.end()
            said.seek(max(0, said.seek(0, os.SEEK_END) - SAID))
            words = said.read().decode("utf-8", "replace").strip()
        if code:
            context["ti"].xcom_push(key="said", value=words)
        context["ti"].xcom_push(key="exit_code", value=code)
        if code:
            raise AirflowFailException("the worker ended with exit code %d: %s" % (code, words))

    def on_kill(self):
        self.end()

    def end(self):
        """Ends the worker and all that it began, which is one group of processes."""
        if self.process is None:
            return
        for sign, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:  # there is none left
                return
            try:
                self.process.wait(timeout=patience)
            except subprocess.TimeoutExpired:
                pass


with DAG(
    dag_id=DAG_ID,
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=AT_ONCE,
    max_active_tasks=AT_ONCE,
    is_paused_upon_creation=False,
    tags=["vishwa"],
) as dag:
    VishwaWorker(task_id="work", retries=0)
