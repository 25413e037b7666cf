"""Fixtures and helpers of several test modules, one module a theme; no tests."""
