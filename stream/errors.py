"""Every error that `stream` raises on purpose.

::

    StreamError              one sentence: what happened, to what, and the way out
    ├── SettingsError        a setting is unknown, malformed or contradicts another one
    ├── InputError           a file, a format name or a mapping cannot be used
    ├── StackError           the local stack could not be started, found or stopped
    ├── BrokerError          Kafka or Redis cannot be reached, or refuses us
    ├── TopicError           a topic is missing, or has the wrong partitions or settings
    ├── RetentionError       the broker has deleted input that was never read
    ├── LayoutError          a message or snapshot was written by another layout version
    └── StateError           the state asked for is not there, or a backup of it is not whole

The command line prints the message of a `StreamError` alone, without a traceback, and exits with 2.
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of all errors whose message alone tells a user what to do."""


class SettingsError(StreamError):
    """A setting is unknown, malformed or contradicts another one."""


class InputError(StreamError):
    """A file, a format name or a mapping cannot be used."""


class StackError(StreamError):
    """The local stack could not be started, found or stopped."""


class BrokerError(StreamError):
    """Kafka or Redis cannot be reached, or refuses us."""


class TopicError(StreamError):
    """A topic is missing, or has the wrong partitions or settings."""


class RetentionError(StreamError):
    """The broker has deleted input that was never read."""


class LayoutError(StreamError):
    """A message or snapshot was written by another layout version."""


class StateError(StreamError):
    """The state asked for is not there, or a backup of it is not whole."""
