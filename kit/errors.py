"""What a user can meet: every exception that stands for a mistake they can mend."""

from __future__ import annotations


class KitError(Exception):
    """A mistake a user can mend; the command line prints it as one line and exits with code 2."""


def first_line(error: BaseException) -> str:
    """The first line of what a library says, for a message of one line; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class Interrupted(BaseException):
    """A signal ended the work; the message says where it stands, such as a training with its checkpoint.

    Not a KeyboardInterrupt: Typer makes an exit of that, whatever the signal was.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class DataError(KitError):
    """Files, pixels or labels that are missing, damaged or not what the competition has."""


class RecipeError(KitError):
    """A recipe, or a spec in it, that names something unknown or holds an impossible value."""


class RunError(KitError):
    """A run directory that is missing, incomplete, in use or made by something else."""


class ModelFileError(KitError):
    """A model file that is missing, damaged or does not fit the images it was given."""


class SubmissionError(KitError):
    """A submission that a competition would refuse or score as zero."""
