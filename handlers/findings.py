"""What ``signoff check`` found, line by line, and how it is shown. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How a finding is to be taken. A fault must be put right; a warning should be understood."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: about what, what is so, and for all but ok what would be right."""

    level: Level
    part: str
    text: str
    remedy: str | None = None


@dataclass(slots=True)
class Report:
    """The findings in the order they were made."""

    findings: list[Finding] = field(default_factory=list)

    def ok(self, part: str, text: str) -> None:
        self.findings.append(Finding(Level.OK, part, text))

    def warning(self, part: str, text: str, remedy: str) -> None:
        self._add(Finding(Level.WARNING, part, text, remedy))

    def fault(self, part: str, text: str, remedy: str) -> None:
        self._add(Finding(Level.FAULT, part, text, remedy))

    @property
    def has_fault(self) -> bool:
        return any(finding.level is Level.FAULT for finding in self.findings)

    def _add(self, finding: Finding) -> None:
        # Two rules may name the same person or channel; what is wrong with it is said once.
        if finding not in self.findings:
            self.findings.append(finding)


def render_text(report: Report) -> str:
    """For a person: a line for each finding, the remedy under it, the sum at the end."""
    return "\n".join([*_lines(report.findings), "", _sum(report.findings)])


def render_json(report: Report) -> str:
    """For a program: ``ok`` and the findings."""
    shown = [
        {"level": finding.level.value, "part": finding.part, "text": finding.text}
        | ({"remedy": finding.remedy} if finding.remedy else {})
        for finding in report.findings
    ]
    return json.dumps({"ok": not report.has_fault, "findings": shown}, indent=2)


def _lines(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.level.value:<8} {finding.part}: {finding.text}"
        if finding.remedy:
            yield f"{'':<8} -> {finding.remedy}"


def _sum(findings: list[Finding]) -> str:
    faults = sum(finding.level is Level.FAULT for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    said = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in ((faults, "fault"), (warnings, "warning"))]
    return f"{said[0]}, {said[1]}." if faults or warnings else "All is well."
