"""`python manage.py chaos`: sessions run while what they run on is killed, and what was promised of them is checked."""
