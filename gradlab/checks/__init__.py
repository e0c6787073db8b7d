"""The checks: each takes a problem and says what it found."""
