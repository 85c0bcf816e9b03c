"""Imported by the server of workers before it forks: every network of our own."""

from __future__ import annotations

from zoo.registry import cards

cards()
