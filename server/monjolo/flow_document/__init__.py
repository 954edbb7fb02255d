"""The flow document: read safely, checked with line and column, compiled to the engine's plan."""

from monjolo.flow_document.actions import Catalogue, ResolvedAction, validator
from monjolo.flow_document.compile import Compiled, TriggerPlan, compile_plan
from monjolo.flow_document.dump import dump
from monjolo.flow_document.expressions import Expressions
from monjolo.flow_document.parse import Parsed, Positions, parse
from monjolo.flow_document.rules import cron_expression, cron_problem
from monjolo.flow_document.schema import json_schema
from monjolo.flow_document.types import LONGEST_WAIT, Retention
from monjolo.flow_document.validate import awaited_events, check, resolve_actions, validate

__all__ = [
    "LONGEST_WAIT",
    "Catalogue",
    "Compiled",
    "Expressions",
    "Parsed",
    "Positions",
    "ResolvedAction",
    "Retention",
    "TriggerPlan",
    "awaited_events",
    "check",
    "compile_plan",
    "cron_expression",
    "cron_problem",
    "dump",
    "json_schema",
    "parse",
    "resolve_actions",
    "validate",
    "validator",
]
