"""The sections of `python manage.py benchmark` that need servers and workers: what going through the product costs and gives."""
