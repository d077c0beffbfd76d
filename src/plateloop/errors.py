"""The one exception that means: the user must change something; and errors in one line."""


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the thing and the fix. The command line prints it on stderr and
    exits with 2; library callers catch it like any other exception.
    """


def one_line(error: Exception) -> str:
    """What ``error`` says, in one line; of a pydantic ValidationError the first fault and its key."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(map(str, first["loc"]))
    return f"{key}: {first['msg']}" if key else first["msg"]
