"""What runs in an engine's environment: no dependency but requirements/common.txt."""
