"""`python -m kelbo`."""

from kelbo.cli import main

if __name__ == "__main__":
    main()
