"""``accelerate launch -m genzoo.training RECIPE --queries LOG``: `genzoo train`, in every process that accelerate starts."""

import sys

from genzoo.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
