"""The package's version, known also where its metadata are not, as in a frozen program."""

__all__ = ["__version__"]

__version__ = "0.1.0"
