"""Fixtures and helpers that several test modules use, one module a theme; no tests."""
