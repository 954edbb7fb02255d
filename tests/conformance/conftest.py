"""The triggers' platform of the integration tests: a real database, a clock that is moved."""

from tests.integration.triggers.conftest import platform as platform
