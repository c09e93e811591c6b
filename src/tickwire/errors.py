"""What can go wrong, as one tree.

TickwireError
├── SettingsError   a flag, variable or key of the configuration is wrong
├── InputError      a file (recording, instruments) cannot be used
├── StartError      the machine refuses: a taken port, a folder that cannot be written
├── StoreError      the store refuses while the server runs: a full disk, a locked or damaged file
├── SourceError     a source cannot give what it is asked for now
└── BusError        the other side of the bus cannot be reached or understood

The text of each is one line that says what is wrong, where, and what to do about it.
"""


class TickwireError(Exception):
    """Anything that Tickwire reports to a person."""


class SettingsError(TickwireError):
    """A flag, an environment variable or a key of the configuration file is wrong."""


class InputError(TickwireError):
    """A file given as input is missing, unreadable or not what it should be."""


class StartError(TickwireError):
    """The server cannot start on this machine as it is."""


class StoreError(TickwireError):
    """The store cannot be read or written now."""


class ReplacedError(StoreError):
    """Another market of the cluster owns what would be written."""


class SourceError(TickwireError):
    """A source cannot give what it is asked for now."""


class BusError(TickwireError):
    """The other side of the bus cannot be reached, or does not speak as it should."""
