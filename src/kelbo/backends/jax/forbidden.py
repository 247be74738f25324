"""Why an epoch cannot stay on the device."""


class Forbidden(Exception):
    """Why the data cannot stay on the device; a sentence without its full stop."""
