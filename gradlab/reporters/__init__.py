"""Reporters: each turns reports into text, and sees nothing but reports."""
