"""The public names of genzoo, each with the module that holds it: `genzoo.public_names` imports it when it is first asked for."""

from collections.abc import Callable
from typing import Any

from genzoo.display import progress as progress
from genzoo.errors import ZooError as ZooError
from genzoo.leaderboards.judging.pools import JudgedPool as JudgedPool
from genzoo.leaderboards.judging.pools import judgements as judgements
from genzoo.leaderboards.leaderboard import Leaderboard as Leaderboard
from genzoo.leaderboards.searches.explained import ExplainedSearch as ExplainedSearch
from genzoo.leaderboards.searches.failures import FailedSearches as FailedSearches
from genzoo.leaderboards.study_runs import study as study
from genzoo.models.checkpoint import TokenCheckpoint as TokenCheckpoint
from genzoo.models.convert import convert as convert
from genzoo.models.entries import ZooEntry as ZooEntry
from genzoo.models.entries import get_entry as get_entry
from genzoo.models.entries import list_models as list_models
from genzoo.models.loading import decode as decode
from genzoo.models.loading import describe as describe
from genzoo.models.loading import explain as explain
from genzoo.models.loading import export as export
from genzoo.models.loading import load as load
from genzoo.models.loading import load_decoder as load_decoder
from genzoo.publishing.bundle import unbundle as unbundle
from genzoo.publishing.publish import collection as collection
from genzoo.publishing.verify import verify as verify
from genzoo.publishing.verify import write_fingerprint as write_fingerprint
from genzoo.recipes.recipes import Recipe as Recipe
from genzoo.reports import plots as plots
from genzoo.reports.measuring import Evaluation as Evaluation
from genzoo.reports.measuring import evaluate as evaluate
from genzoo.reports.measuring import plan_evaluation as plan_evaluation
from genzoo.reports.publishing import bundle as bundle
from genzoo.reports.publishing import publish as publish
from genzoo.reports.render.table import Table as Table
from genzoo.reports.results import Board as Board
from genzoo.reports.results import ModelComparison as ModelComparison
from genzoo.reports.results import Results as Results
from genzoo.reports.results import open_results as open_results
from genzoo.tasks.checking.check import DataCheck as DataCheck
from genzoo.tasks.checking.check import check as check
from genzoo.tasks.doctor.diagnosis import Diagnosis as Diagnosis
from genzoo.tasks.doctor.diagnosis import doctor as doctor
from genzoo.tasks.judging.pool import Pool as Pool
from genzoo.tasks.judging.pool import pool as pool
from genzoo.tasks.own.opening import OwnData as OwnData
from genzoo.tasks.own.opening import open_data as open_data
from genzoo.tasks.sets.catalogue import list_benchmarks as list_benchmarks
from genzoo.tasks.sets.catalogue import list_tasks as list_tasks
from genzoo.tasks.sets.examples import write_example as write_example
from genzoo.tasks.submission import model_meta as model_meta
from genzoo.teachers.teachers import fetch as fetch
from genzoo.training.run import Run as Run
from genzoo.training.run import controls as controls
from genzoo.training.run import plan_training as plan_training
from genzoo.training.run import responses as responses
from genzoo.training.run import targets as targets
from genzoo.training.run import teacher as teacher
from genzoo.training.run import train as train

__version__: str

def public_names(package: str, init: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]: ...
