"""`python -m distillation_dynamics FILE`: carry out an order."""

from .jobs.run import main

if __name__ == "__main__":
    main()
