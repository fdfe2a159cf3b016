"""Small functions for reports."""
