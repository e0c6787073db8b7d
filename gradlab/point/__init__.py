"""One point made ready: its inputs and outputs as arrays, and the calls of the functions under test."""
