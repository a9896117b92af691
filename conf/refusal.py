"""The one error a user sees: what is wrong, where, and what to do about it."""


class Refusal(Exception):
    """A job refuses its input. Printed as one line; the job exits with 2 and publishes nothing."""

    def __init__(self, what: str, *, where: object, remedy: str) -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        super().__init__(f"{where}: {what}; {remedy}")
