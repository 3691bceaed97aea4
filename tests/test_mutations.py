"""Thousands of answers that no vendor sends, made of those that vendors do: none raises, each ends, and none is passed off as finished."""

from __future__ import annotations

from mutations import Mutant, wrong_with
from repeats import repeats

MUTANTS = 600
FOUND = (866, 1783, 8103, 8109, 8242, 8259, 8701, 8913, 9185, 9329, 808300, 811003)  # these have been wrong before


def test_mutated_answers_end_once_and_pretend_nothing() -> None:
    """[fault W1 to W10] A conformant stream or document, or a failure that follows no finish, whatever was done to the vendor's bytes."""
    numbers = [*range(repeats(MUTANTS)), *FOUND]
    wrong = {number: found for number in numbers if (found := wrong_with(Mutant(number)))}
    assert wrong == {}
