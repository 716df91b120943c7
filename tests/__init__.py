"""Tests of Theus; `CONTRIBUTING.md` says which folder proves what."""
