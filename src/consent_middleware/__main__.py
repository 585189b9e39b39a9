"""``python -m consent_middleware``: the command line."""

from consent_middleware.cli import main

if __name__ == "__main__":
    main(prog_name="consent-middleware")
