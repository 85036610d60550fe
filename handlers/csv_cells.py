"""Cells for CSV files that people open in spreadsheets, which run what begins like a formula. Pure."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text
