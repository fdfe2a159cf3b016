"""Check digits."""


def luhn_is_valid(number: str) -> bool:
    """The Luhn check: every second digit from the right is doubled."""
    total = 0
    for place, digit in enumerate(int(character) for character in number):
        doubled = digit * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
