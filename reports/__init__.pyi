"""The public names of genzoo.reports, each with the module that holds it."""

from genzoo.reports.chapters.leaderboard import leaderboard_table as leaderboard_table
from genzoo.reports.comparison import compare as compare
from genzoo.reports.render.table import Cell as Cell
from genzoo.reports.render.table import Column as Column
from genzoo.reports.render.table import Table as Table
from genzoo.reports.report import build_report as build_report
from genzoo.reports.report import write_leaderboard as write_leaderboard
from genzoo.reports.site import build_site as build_site
