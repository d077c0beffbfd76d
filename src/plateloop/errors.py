"""The one exception that means: the user must change something."""


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the thing and the fix. The command line prints it on stderr and
    exits with 2; library callers catch it like any other exception.
    """
