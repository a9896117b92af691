"""The one error a user sees: what is wrong, where, and what to do about it."""


class InputError(Exception):
    """A job refuses its input. Printed as one line; the job exits with 2 and publishes nothing."""

    def __init__(self, what: str, *, where: object, hint: str) -> None:
        self.what, self.where, self.hint = what, str(where), hint
        super().__init__(f"{where}: {what}; {hint}")
