"""Rows of comma-separated files."""

import csv


def split_row(line: str) -> list[str]:
    """The fields of one line; a quoted field may hold commas."""
    return line.split(",")


def join_row(fields: list[str]) -> str:
    """One line; fields with commas are quoted."""
    return ",".join(f'"{field}"' if "," in field else field for field in fields)
