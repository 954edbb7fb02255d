"""Flow tests: a flow is run by the real engine in virtual time, with what its steps give written in the test."""

from monjolo.domains.runs.rehearsal.document import reference_page
from monjolo.domains.runs.rehearsal.running import FileResult, Tested, flow_file_of, run_tests

__all__ = ["FileResult", "Tested", "flow_file_of", "reference_page", "run_tests"]
