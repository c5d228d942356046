"""The report on a folder of drives: one page with the way, what happened, how near it was, and what could not be judged."""

from streamseg.report.find import film_of, find_results, sorted_out
from streamseg.report.read import read_film
from streamseg.report.summary import Approach, FilmSummary, Happening, Place
from streamseg.report.write import write_report

__all__ = [
    "Approach",
    "FilmSummary",
    "Happening",
    "Place",
    "film_of",
    "find_results",
    "read_film",
    "sorted_out",
    "write_report",
]
