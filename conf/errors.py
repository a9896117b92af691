"""The one error that a user sees: what is wrong, where, and how to fix it."""


class InputError(Exception):
    """A job refuses its input. It logs this as one line, exits with code 2 and publishes nothing.

    hint: a command or a change that fixes the problem.
    """

    def __init__(self, what: str, *, where: object, hint: str) -> None:
        self.what, self.where, self.hint = what, str(where), hint
        super().__init__(f"{where}: {what}; {hint}")
