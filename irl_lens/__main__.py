"""``python -m irl_lens``: the same as the ``irl-lens`` command."""

from irl_lens.cli import main

if __name__ == "__main__":
    main()
