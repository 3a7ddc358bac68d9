"""The public names of genzoo.tasks, each with the module that holds it."""

from genzoo.tasks.evaluation import evaluate as evaluate
from genzoo.tasks.sets.registration import register as register
from genzoo.tasks.sets.registration import register_model as register_model
from genzoo.tasks.sets.registration import resolve_tasks as resolve_tasks
