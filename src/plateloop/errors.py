"""The one exception that means: the user must change something; and errors in one line."""


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the thing and the fix. The command line prints it on stderr and
    exits with 2; library callers catch it like any other exception.
    """


def one_line(error: Exception) -> str:
    """What ``error`` says, in one line; of a pydantic ValidationError the first fault and its key."""
    from pydantic import ValidationError

    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start})"
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        said = "unknown key"
    return f"{key}: {said}" if key else said
