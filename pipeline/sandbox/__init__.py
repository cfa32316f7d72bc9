"""An Export API on loopback, for the demo, the tests and the users' own CI.

It answers as Amplitude's does, with generated days or given export ZIPs, and goes wrong on demand. It knows nothing
of the pipeline. From a shell: ``python -m pipeline.sandbox --help``.
"""

from pipeline.sandbox.faults import Fault, FaultError
from pipeline.sandbox.listener import Request
from pipeline.sandbox.server import Sandbox

__all__ = ["Fault", "FaultError", "Request", "Sandbox"]
