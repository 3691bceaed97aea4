"""Which signals mean nothing to a server. What becomes of them is for whoever runs the process to say."""

from __future__ import annotations

import signal

#: Signals that end a process that has no answer to them. A log that was rotated goes on where it is.
IGNORED_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
